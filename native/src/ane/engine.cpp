#include "ane/engine.h"

#include <algorithm>
#include <cstring>
#include <thread>

namespace anesdk::ane {
namespace {

using std::chrono::steady_clock;

// A NaN that no arithmetic makes. An output that still holds it after a run was not written.
constexpr uint16_t kPoison = 0x7ea5;
constexpr size_t kMaxRefusals = 1000;

void poison(std::byte* data, const Port& port) {
  for (size_t at = 0; at < port.type.nbytes(); at += sizeof kPoison) std::memcpy(data + at, &kPoison, sizeof kPoison);
}

void check_written(const std::byte* data, const Port& port) {
  size_t untouched = 0;
  for (size_t at = 0; at < port.type.nbytes(); at += sizeof kPoison)
    untouched += std::memcmp(data + at, &kPoison, sizeof kPoison) == 0;
  if (untouched)
    throw mil::Error("[ane] the engine reported success and left " + std::to_string(untouched) + " of " +
                         std::to_string(port.type.elements()) + " elements of output " + port.name + " unwritten",
                     ANESDK_RUNTIME_ERROR);
}

// Every pattern of an integer port is a value.
bool can_poison(const Port& port) { return port.type.dtype == mil::DType::FP16; }

// Words that mean no: the same text compiled again would be refused again.
bool is_final(const std::string& reason) {
  return reason.find("not supported on any backend") != std::string::npos ||
         reason.find("Not implemented") != std::string::npos;
}

std::vector<Port> ports_of(const mil::Function& f, const std::vector<mil::ValueId>& ids) {
  std::vector<Port> ports;
  for (const mil::ValueId id : ids) ports.push_back({f.values[id].name, f.values[id].type});
  return ports;
}

std::string lines_of(const char* what, const std::vector<Port>& ports) {
  std::string out;
  for (const Port& port : ports) out += std::string("  ") + what + " " + port.name + ": " + port.type.str() + "\n";
  return out;
}

}  // namespace

struct EngineProgram::State {
  ModelText text;
  size_t ops = 0;
  std::vector<Port> inputs, outputs;

  std::mutex mutex;  // held by whoever runs the program, or takes it out of the engine
  std::unique_ptr<Loaded> loaded;
  bool checked = false;  // a run has written every output
  std::string placement;
  uint64_t loads = 0, compiles = 0, runs = 0;
  double load_ms = 0;  // of the last load
};

EngineProgram::~EngineProgram() { engine_.unload(state_); }
const std::vector<Port>& EngineProgram::inputs() const { return state_->inputs; }
const std::vector<Port>& EngineProgram::outputs() const { return state_->outputs; }

void EngineProgram::run(const void* const* inputs, void* const* outputs) const { engine_.run(state_, inputs, outputs); }

std::string EngineProgram::plan() const {
  const std::lock_guard lock(state_->mutex);
  return "ane: one program of " + std::to_string(state_->ops) + " operations, placed on " + state_->placement + "\n" +
         lines_of("input", state_->inputs) + lines_of("output", state_->outputs);
}

std::string EngineProgram::stats() const {
  const std::lock_guard lock(state_->mutex);
  const State& s = *state_;
  return "{\"device\": \"ane\", \"ops\": " + std::to_string(s.ops) + ", \"placement\": \"" + s.placement +
         "\", \"loaded\": " + (s.loaded ? "true" : "false") + ", \"loads\": " + std::to_string(s.loads) +
         ", \"compiles\": " + std::to_string(s.compiles) + ", \"load_ms\": " + std::to_string(s.load_ms) +
         ", \"runs\": " + std::to_string(s.runs) + "}";
}

std::unique_ptr<EngineProgram> Engine::compile(const mil::Program& program) {
  worker_.check_process();
  const mil::Function* main = program.find("main");
  if (!main) throw mil::Error("[program] expected a function named main");
  const auto state = std::make_shared<State>();
  state->text = model_text(program);
  state->ops = main->ops.size();
  state->inputs = ports_of(*main, main->inputs);
  state->outputs = ports_of(*main, main->outputs);
  const std::lock_guard lock(state->mutex);
  load(state);
  return std::unique_ptr<EngineProgram>(new EngineProgram(*this, state));
}

// The wait after a failed compile is the caller's, so that programs that are loaded run meanwhile.
void Engine::load(const std::shared_ptr<State>& state) {
  const auto until = [&] { return steady_clock::time_point(steady_clock::duration(next_compile_.load())); };
  std::this_thread::sleep_until(until());
  const auto abandoned = std::make_shared<std::atomic<bool>>(false);
  try {
    worker_.call("compiling", settings_.compile_limit + settings_.backoff, [this, state, until, abandoned] {
      std::this_thread::sleep_until(until());  // where another caller's compile failed in between
      load_now(state);
      if (*abandoned) unload_now(*state);
    });
  } catch (...) {
    *abandoned = true;
    throw;
  }
}

void Engine::load_now(const std::shared_ptr<State>& state) {
  const auto start = steady_clock::now();
  make_room();
  Holder objects;
  const Handle library = compile_now(*state, objects);
  state->loaded = std::make_unique<Loaded>(symbols_, std::move(objects), library, state->inputs, state->outputs);
  loaded_.push_back(state);
  ++state->loads;
  state->load_ms = std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

void Engine::unload_now(State& state) {
  state.loaded.reset();
  loaded_.remove_if([&](const auto& other) { return other.get() == &state; });
}

void Engine::make_room() {
  for (auto it = loaded_.begin(); it != loaded_.end() && loaded_.size() >= settings_.max_loaded;) {
    const std::shared_ptr<State> victim = *it;
    const std::unique_lock lock(victim->mutex, std::try_to_lock);
    if (!lock) {
      ++it;
      continue;
    }
    victim->loaded.reset();
    it = loaded_.erase(it);
  }
  if (loaded_.size() >= settings_.max_loaded)
    throw mil::Error("[ane] all " + std::to_string(loaded_.size()) + " programs that fit into the engine are running",
                     ANESDK_RUNTIME_ERROR);
}

Handle Engine::compile_now(State& state, Holder& objects) {
  if (const auto it = refused_.find(state.text.mil); it != refused_.end())
    throw mil::Error(it->second, ANESDK_UNSUPPORTED);
  const ProgramFolder folder(settings_.programs, state.text, settings_.environment, settings_.max_bytes);
  const bool force = !folder.compiled();
  Handle library = nullptr;
  try {
    library = compile_library(symbols_, folder.model(), folder.bundles(), force);
    objects.hold(library, symbols_.library_release);
  } catch (const mil::Error& error) {
    folder.discard();
    next_compile_ = (steady_clock::now() + settings_.backoff).time_since_epoch().count();
    if (is_final(error.what()) && refused_.size() < kMaxRefusals) refused_[state.text.mil] = error.what();
    throw;
  }
  state.compiles += force;
  state.placement = folder.placement();
  if (state.placement != "ane" && state.placement != "unknown") {
    folder.discard();
    throw mil::Error("[ane] the program was placed on " + state.placement + " instead of the engine",
                     ANESDK_UNSUPPORTED);
  }
  folder.mark_compiled();
  return library;
}

void Engine::run(const std::shared_ptr<State>& state, const void* const* inputs, void* const* outputs) {
  worker_.check_process();
  const std::lock_guard lock(state->mutex);
  worker_.check_idle();  // what is under way may be this program
  if (!state->loaded) load(state);
  const bool first = !state->checked;
  for (size_t i = 0; i < state->inputs.size(); ++i)
    std::memcpy(state->loaded->input(i), inputs[i], state->inputs[i].type.nbytes());
  for (size_t o = 0; o < state->outputs.size(); ++o)
    if (first && can_poison(state->outputs[o])) poison(state->loaded->output(o), state->outputs[o]);
  worker_.call("running a program", settings_.run_limit, [this, state] {
    state->loaded->execute();
    const auto it = std::find(loaded_.begin(), loaded_.end(), state);
    if (it != loaded_.end()) loaded_.splice(loaded_.end(), loaded_, it);
  });
  for (size_t o = 0; o < state->outputs.size(); ++o) {
    if (first && can_poison(state->outputs[o])) check_written(state->loaded->output(o), state->outputs[o]);
    std::memcpy(outputs[o], state->loaded->output(o), state->outputs[o].type.nbytes());
  }
  state->checked = true;
  ++state->runs;
}

// Where the worker does not answer any more, or belongs to the parent of this process, the objects are left as they
// are.
void Engine::unload(const std::shared_ptr<State>& state) noexcept {
  if (!worker_.in_own_process()) {
    new std::shared_ptr<State>(state);
    return;
  }
  try {
    worker_.call("unloading a program", settings_.run_limit, [this, state] { unload_now(*state); });
  } catch (...) {
  }
}

}  // namespace anesdk::ane
