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
#include "device.h"

namespace anesdk::ane {

struct Settings {
  std::filesystem::path programs;  // where compiled programs are kept
  std::string environment;         // what they depend on besides their text
  uint64_t max_bytes = uint64_t{4} << 30;
  size_t max_loaded = 100;  // at first; processes failed from 119 to 129 programs on, and some from 16 on
};

// Memory and buffers of inputs that outputs of their types take over.
struct Reuse {
  std::vector<uint64_t> donated;                      // inputs: their memory outside of the engine
  std::vector<std::pair<uint64_t, uint64_t>> shared;  // (input, output): one buffer inside for both
};

// Of one program.
struct Limits {
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
  // Writes no output unless it succeeds, so that an output may have the memory of an input.
  void run(const anesdk_arguments& given) const;
  std::string plan() const;   // text
  std::string stats() const;  // a JSON object

 private:
  friend class Engine;
  struct State;
  class Held;
  EngineProgram(Engine& engine, std::shared_ptr<State> state) : engine_(engine), state_(std::move(state)) {}

  Engine& engine_;
  std::shared_ptr<State> state_;
};

class Engine {
 public:
  Engine(const Symbols& symbols, Settings settings)
      : symbols_(symbols), settings_(std::move(settings)), room_(settings_.max_loaded), worker_(symbols_.pools) {}
  ~Engine();

  // `program` is verified for "ane" and alive during the call only. Throws mil::Error.
  std::unique_ptr<EngineProgram> compile(const mil::Program& program, const Limits& limits, const Reuse& reuse = {});

 private:
  friend class EngineProgram;
  using State = EngineProgram::State;
  using Shared = std::shared_ptr<State>;

  // From a caller's thread, which holds the program's mutex:
  Shared make(const mil::Program& program, const Limits& limits, const Reuse& reuse);
  void load(const Shared& state);
  void wait_for_compiler();
  void run(const Shared& state, const anesdk_arguments& given);
  void execute(const Shared& state, const anesdk_arguments& given);
  static void copy_in(State& state, size_t index, const void* data, uint64_t contents, bool keeps);
  static void find_changed(State& state, const anesdk_arguments& given);
  void prove(const Limits& limits);
  void unload(const Shared& state) noexcept;

  // On the worker:
  void load_now(const Shared& state, const ProgramFolder& folder);
  void unload_now(State& state);
  bool unload_oldest();  // of those that nobody runs; false when there is none
  void make_room();
  // The library, which `objects` holds.
  Handle compile_now(State& state, const ProgramFolder& folder, Holder& objects);
  Handle library_of(const State& state, const ProgramFolder& folder, bool force);
  void check_placement(State& state, const ProgramFolder& folder);

  const Symbols symbols_;
  const Settings settings_;
  std::atomic<size_t> room_;  // how many programs the system was seen to hold, at most settings_.max_loaded
  std::list<Shared> loaded_;  // the one used longest ago first; of the worker
  std::atomic<std::chrono::steady_clock::rep> next_compile_{0};
  std::mutex refused_mutex_;
  std::recursive_mutex witness_mutex_;          // a signal handler may run a program in the middle of prove()
  std::map<std::string, std::string> refused_;  // MIL text -> the compiler's reason
  Shared witness_;                              // the program of prove()
  Worker worker_;                               // last: its thread ends first
};

}  // namespace anesdk::ane
