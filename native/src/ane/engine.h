// Programs of the engine: compiled once, kept on disk, loaded while there is room, run one at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ane/loaded.h"
#include "ane/model_text.h"
#include "ane/store.h"
#include "ane/worker.h"

namespace anesdk::ane {

struct Settings {
  std::filesystem::path programs;  // where compiled programs are kept
  std::string environment;         // what they depend on besides their text
  uint64_t max_bytes = uint64_t{4} << 30;
  size_t max_loaded = 100;                           // processes failed from 119 to 129 programs on
  std::chrono::milliseconds backoff{15'000};         // a failed compile restarts the compiler's service
  std::chrono::milliseconds compile_limit{300'000};  // the slowest compile that ever ended took 128 s
  std::chrono::milliseconds run_limit{60'000};
};

class Engine;

// A program that the engine has accepted. run() is thread-safe; `engine` must outlive it.
class EngineProgram {
 public:
  ~EngineProgram();
  EngineProgram(const EngineProgram&) = delete;
  EngineProgram& operator=(const EngineProgram&) = delete;

  const std::vector<Port>& inputs() const;
  const std::vector<Port>& outputs() const;
  void run(const void* const* inputs, void* const* outputs) const;
  std::string plan() const;   // text
  std::string stats() const;  // a JSON object

 private:
  friend class Engine;
  struct State;
  EngineProgram(Engine& engine, std::shared_ptr<State> state) : engine_(engine), state_(std::move(state)) {}

  Engine& engine_;
  std::shared_ptr<State> state_;
};

class Engine {
 public:
  Engine(const Symbols& symbols, Settings settings) : symbols_(symbols), settings_(std::move(settings)) {}

  // `program` is verified for "ane" and alive during the call only. Throws mil::Error.
  std::unique_ptr<EngineProgram> compile(const mil::Program& program);

 private:
  friend class EngineProgram;
  using State = EngineProgram::State;

  void load(const std::shared_ptr<State>& state);      // from a caller's thread
  void load_now(const std::shared_ptr<State>& state);  // these on the worker
  void unload_now(State& state);
  void make_room();
  Handle compile_now(State& state, Holder& objects);  // the library, which `objects` holds
  void run(const std::shared_ptr<State>& state, const void* const* inputs, void* const* outputs);
  void unload(const std::shared_ptr<State>& state) noexcept;

  const Symbols symbols_;
  const Settings settings_;
  // Of the worker thread:
  std::list<std::shared_ptr<State>> loaded_;    // the one used longest ago first
  std::map<std::string, std::string> refused_;  // MIL text -> the compiler's reason
  std::atomic<std::chrono::steady_clock::rep> next_compile_{0};
  Worker worker_;  // last: its thread ends first
};

}  // namespace anesdk::ane
