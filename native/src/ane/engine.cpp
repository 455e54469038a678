#include "ane/engine.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <thread>
#include <utility>

#include "hosted_call.h"
#include "mil/parser.h"

namespace anesdk::ane {
namespace {

using std::chrono::steady_clock;

// A NaN that no arithmetic makes. An output that still holds it after a run was not written.
constexpr uint16_t kPoison = 0x7ea5;
constexpr size_t kMaxRefusals = 1000;

// The bytes between the rows are poisoned too.
void poison(const Loaded::Buffer& buffer) {
  for (size_t at = 0; at < buffer.layout.bytes(); at += sizeof kPoison)
    std::memcpy(buffer.data + at, &kPoison, sizeof kPoison);
}

// The elements of a port in row-major order: the buffer itself where they lie so.
class Elements {
 public:
  Elements(const Loaded::Buffer& buffer, const mil::Type& type) : data_(buffer.data) {
    if (buffer.layout.dense()) return;
    gathered_.resize(type.nbytes());
    buffer.layout.gather(buffer.data, gathered_.data());
    data_ = gathered_.data();
  }
  Elements(Elements&&) = default;
  const std::byte* data() const { return data_; }

 private:
  std::vector<std::byte> gathered_;
  const std::byte* data_;
};

void check_written(const std::byte* data, const Port& port) {
  size_t untouched = 0;
  for (size_t at = 0; at < port.type.nbytes(); at += sizeof kPoison)
    untouched += std::memcmp(data + at, &kPoison, sizeof kPoison) == 0;
  if (untouched)
    throw mil::Error("[ane] the engine reported success and left " + std::to_string(untouched) + " of " +
                         std::to_string(port.type.elements()) + " elements of output " + port.name + " unwritten",
                     ANESDK_WRONG_RESULT);
}

// The system says the same of a program that finds no room and of a compiled one that it no longer has: "ANE model load
// has failed for on-device compiled macho. Must re-compile the E5 bundle".
bool must_compile_again(const mil::Error& error) {
  std::string words = error.what();
  for (char& c : words) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return words.find("must re-compile") != std::string::npos;
}

// An output that a dead engine would give: nothing but zeros, or nothing but NaN.
bool is_lifeless(const std::byte* data, const Port& port) {
  if (port.type.dtype != mil::DType::FP16) return false;
  const auto all = [&](auto holds) {
    for (size_t at = 0; at < port.type.nbytes(); at += sizeof(uint16_t)) {
      uint16_t bits;
      std::memcpy(&bits, data + at, sizeof bits);
      if (!holds(bits & 0x7fff)) return false;
    }
    return true;
  };
  return all([](int size) { return size == 0; }) || all([](int size) { return size > 0x7c00; });
}

// y = x w. A product, as the compiler may leave what is elementwise to the CPU.
constexpr size_t kWitnessElements = 64;
constexpr const char* kWitness = R"(program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 64]> x, tensor<fp16, [64, 64]> w) {
        tensor<fp16, [1, 64]> y = matmul(transpose_x = false, transpose_y = false, x = x, y = w)[name = string("y")];
    } -> (y);
})";

std::vector<Port> ports_of(const mil::Function& f, const std::vector<mil::ValueId>& ids) {
  std::vector<Port> ports;
  for (const mil::ValueId id : ids) ports.push_back({f.values[id].name, f.values[id].type});
  return ports;
}

// Each donated input goes to the first output of its type that has none.
void alias(std::vector<Port>& outputs, const std::vector<Port>& inputs, const std::vector<uint64_t>& donated) {
  for (const uint64_t i : donated)
    for (Port& output : outputs)
      if (output.alias < 0 && output.type == inputs[i].type) {
        output.alias = static_cast<int64_t>(i);
        break;
      }
}

// The engine must have read all of such an input before it writes: what a caller makes sure of.
void share(std::vector<Port>& inputs, const std::vector<Port>& outputs,
           const std::vector<std::pair<uint64_t, uint64_t>>& shared) {
  for (const auto& [i, o] : shared) {
    if (inputs[i].type != outputs[o].type)
      throw mil::Error("[compile] options: input " + inputs[i].name + " is " + inputs[i].type.str() +
                           " and cannot share a buffer with output " + outputs[o].name + ", " + outputs[o].type.str(),
                       ANESDK_INVALID_ARGUMENT);
    inputs[i].shares = static_cast<int64_t>(o);
  }
}

bool is_shared(const std::vector<Port>& inputs, size_t output) {
  return std::any_of(inputs.begin(), inputs.end(),
                     [&](const Port& input) { return input.shares == static_cast<int64_t>(output); });
}

std::string line_of(const char* what, const Port& port) {
  return std::string("  ") + what + " " + port.name + ": " + port.type.str();
}

}  // namespace

struct EngineProgram::State {
  ModelText text;
  size_t ops = 0;
  std::vector<Port> inputs, outputs;
  Limits limits;

  std::mutex mutex;                     // held by whoever runs the program, or takes it out of the engine
  std::atomic<std::thread::id> holder;  // of the mutex, where Held has it
  std::unique_ptr<Loaded> loaded;
  bool checked = false;       // a run has written every output
  bool settled = false;       // the last run succeeded, so its buffers hold what is noted of them
  bool is_witness = false;    // of prove()
  std::vector<bool> changed;  // inputs whose buffers do not keep what is copied into them
  std::string placement;
  uint64_t loads = 0, compiles = 0, runs = 0, failures = 0;
  uint64_t copied = 0, copied_bytes = 0, kept = 0, kept_bytes = 0;  // inputs
  double load_ms = 0;                                               // of the last load
};

// Holds a program's mutex. A signal handler may run in the middle of a run, on its thread (hosted_call.h), where
// waiting for the program would never end.
class EngineProgram::Held {
 public:
  explicit Held(State& state) : state_(state) {
    if (state.holder == std::this_thread::get_id())
      throw mil::Error("[ane] a signal handler asks for the program that it interrupted", ANESDK_RUNTIME_ERROR);
    state.mutex.lock();
    state.holder = std::this_thread::get_id();
  }
  ~Held() {
    state_.holder = std::thread::id();
    state_.mutex.unlock();
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  State& state_;
};

EngineProgram::~EngineProgram() { engine_.unload(state_); }
const std::vector<Port>& EngineProgram::inputs() const { return state_->inputs; }
const std::vector<Port>& EngineProgram::outputs() const { return state_->outputs; }

void EngineProgram::run(const anesdk_arguments& given) const {
  const Held held(*state_);
  engine_.run(state_, given);
}

std::string EngineProgram::plan() const {
  const Held held(*state_);
  std::string out =
      "ane: one program of " + std::to_string(state_->ops) + " operations, placed on " + state_->placement + "\n";
  for (const Port& port : state_->inputs) {
    out += line_of("input", port);
    if (port.shares >= 0) out += ", in the buffer of " + state_->outputs[static_cast<size_t>(port.shares)].name;
    out += "\n";
  }
  for (const Port& port : state_->outputs) out += line_of("output", port) + "\n";
  return out;
}

std::string EngineProgram::stats() const {
  const size_t room = engine_.room_;
  const Held held(*state_);
  const State& s = *state_;
  return "{\"device\": \"ane\", \"ops\": " + std::to_string(s.ops) + ", \"placement\": \"" + s.placement +
         "\", \"room\": " + std::to_string(room) + ", \"loaded\": " + (s.loaded ? "true" : "false") +
         ", \"loads\": " + std::to_string(s.loads) + ", \"compiles\": " + std::to_string(s.compiles) +
         ", \"load_ms\": " + std::to_string(s.load_ms) + ", \"runs\": " + std::to_string(s.runs) +
         ", \"padded\": " + std::to_string(s.loaded ? s.loaded->padded() : 0) +
         ", \"failures\": " + std::to_string(s.failures) + ", \"copied\": " + std::to_string(s.copied) +
         ", \"copied_bytes\": " + std::to_string(s.copied_bytes) + ", \"kept\": " + std::to_string(s.kept) +
         ", \"kept_bytes\": " + std::to_string(s.kept_bytes) + "}";
}

// Never for the engine of a process, whose end takes everything with it.
Engine::~Engine() {
  if (witness_) unload(witness_);
}

std::unique_ptr<EngineProgram> Engine::compile(const mil::Program& program, const Limits& limits, const Reuse& reuse) {
  const Shared state = make(program, limits, reuse);
  return std::unique_ptr<EngineProgram>(new EngineProgram(*this, state));
}

Engine::Shared Engine::make(const mil::Program& program, const Limits& limits, const Reuse& reuse) {
  worker_.check_process();
  const mil::Function* main = program.find("main");
  if (!main) throw mil::Error("[program] expected a function named main");
  const auto state = std::make_shared<State>();
  state->text = model_text(program);
  state->ops = main->ops.size();
  state->inputs = ports_of(*main, main->inputs);
  state->outputs = ports_of(*main, main->outputs);
  alias(state->outputs, state->inputs, reuse.donated);
  share(state->inputs, state->outputs, reuse.shared);
  state->changed.resize(state->inputs.size());
  state->limits = limits;
  {
    const std::lock_guard lock(refused_mutex_);
    if (const auto it = refused_.find(state->text.mil); it != refused_.end())
      throw mil::Error(it->second, ANESDK_COMPILE_REFUSED);
  }
  const std::lock_guard lock(state->mutex);
  load(state);
  return state;
}

// ---- loading

// The waits after a failed compile, and for others that have the folder, are the caller's, so that programs that are
// loaded run meanwhile.
void Engine::load(const Shared& state) {
  worker_.wait_for_abandoned();
  wait_for_compiler();
  const auto folder = std::make_shared<ProgramFolder>(settings_.programs, state->text, settings_.environment,
                                                      settings_.max_bytes, state->limits.compile_limit);
  const auto abandoned = std::make_shared<std::atomic<bool>>(false);
  try {
    worker_.call("compiling", state->limits.compile_limit, [this, state, folder, abandoned] {
      load_now(state, *folder);
      if (*abandoned) unload_now(*state);
    });
  } catch (const mil::Error& error) {
    *abandoned = true;
    const std::lock_guard lock(refused_mutex_);
    if (error.status() == ANESDK_COMPILE_REFUSED && refused_.size() < kMaxRefusals)
      refused_[state->text.mil] = error.what();
    throw;
  }
}

void Engine::wait_for_compiler() {
  for (;;) {
    const auto left = steady_clock::time_point(steady_clock::duration(next_compile_.load())) - steady_clock::now();
    if (left <= left.zero()) return;
    std::this_thread::sleep_for(std::min<steady_clock::duration>(left, kHostInterval));
    waited();
  }
}

// A bundle on disk only refers to a store of the system, which the system empties after some hours: where a bundle of
// an earlier load cannot be compiled from or loaded, the program is compiled anew, once. Where a fresh one is refused
// for want of room, programs give way until it fits, and from then on the engine is given no more programs than that.
// Where none is left to give way it is compiled once more: the store may have been emptied in between.
void Engine::load_now(const Shared& state, const ProgramFolder& folder) {
  const auto start = steady_clock::now();
  make_room();
  bool full = false, again = false;
  for (bool fresh = false;;) {
    const bool cached = folder.compiled();
    try {
      Holder objects;
      const Handle library = compile_now(*state, folder, objects);
      fresh |= !cached;
      state->loaded = std::make_unique<Loaded>(symbols_, std::move(objects), library, state->inputs, state->outputs);
      break;
    } catch (const mil::Error& error) {
      if (cached && !fresh) {
        folder.discard();
        continue;
      }
      const bool refused = must_compile_again(error);
      full |= refused;
      if ((refused || error.status() == ANESDK_OUT_OF_MEMORY) && unload_oldest()) continue;
      if (refused && !again) {
        again = true;
        full = false;
        folder.discard();
        continue;
      }
      if (refused) throw mil::Error(error.what(), ANESDK_ENGINE_FULL);
      throw;
    }
  }
  loaded_.push_back(state);
  if (full) room_ = std::min<size_t>(room_, loaded_.size());
  ++state->loads;
  state->load_ms = std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

void Engine::unload_now(State& state) {
  state.loaded.reset();
  loaded_.remove_if([&](const auto& other) { return other.get() == &state; });
}

bool Engine::unload_oldest() {
  for (auto it = loaded_.begin(); it != loaded_.end(); ++it) {
    const Shared victim = *it;
    const std::unique_lock lock(victim->mutex, std::try_to_lock);
    if (!lock) continue;
    victim->loaded.reset();
    loaded_.erase(it);
    return true;
  }
  return false;
}

void Engine::make_room() {
  while (loaded_.size() >= room_)
    if (!unload_oldest())
      throw mil::Error("[ane] all " + std::to_string(loaded_.size()) + " programs that fit into the engine are running",
                       ANESDK_ENGINE_FULL);
}

// Takes what an earlier compile left in the folder, if there is something.
Handle Engine::compile_now(State& state, const ProgramFolder& folder, Holder& objects) {
  const bool force = !folder.compiled();
  const Handle library = library_of(state, folder, force);
  objects.hold(library, symbols_.library_release);
  state.compiles += force;
  check_placement(state, folder);
  if (force) folder.mark_compiled();
  return library;
}

Handle Engine::library_of(const State& state, const ProgramFolder& folder, bool force) {
  try {
    return compile_library(symbols_, folder.model(), folder.bundles(), force);
  } catch (const mil::Error&) {
    folder.discard();
    if (force) next_compile_ = (steady_clock::now() + state.limits.backoff).time_since_epoch().count();
    throw;
  }
}

// The compiler did not fail where it placed a program elsewhere, so the next compile need not wait.
void Engine::check_placement(State& state, const ProgramFolder& folder) {
  state.placement = folder.placement();
  if (state.placement == "ane" || state.placement == "unknown") return;
  folder.discard();
  throw mil::Error("[ane] the program was placed on " + state.placement + " instead of the engine",
                   ANESDK_COMPILE_REFUSED);
}

// Where the worker does not answer any more, or belongs to the parent of this process, the objects are left as they
// are.
void Engine::unload(const Shared& state) noexcept {
  if (!worker_.in_own_process()) {
    new Shared(state);
    return;
  }
  try {
    worker_.call("unloading a program", state->limits.run_limit, [this, state] { unload_now(*state); });
  } catch (...) {
  }
}

// ---- running

namespace {

// Every pattern of an integer port is a value; and what an output shares with an input is read first.
bool can_poison(const std::vector<Port>& inputs, const std::vector<Port>& outputs, size_t output) {
  return outputs[output].type.dtype == mil::DType::FP16 && !is_shared(inputs, output);
}

uint64_t contents_of(const uint64_t* contents, size_t index) { return contents ? contents[index] : 0; }

}  // namespace

// Unless the buffer has the contents already, and is known to `keep` them.
void Engine::copy_in(State& state, size_t index, const void* data, uint64_t contents, bool keeps) {
  Loaded::Buffer& buffer = state.loaded->input(index);
  const size_t nbytes = state.inputs[index].type.nbytes();
  if (keeps && contents != 0 && buffer.contents == contents) {
    ++state.kept;
    state.kept_bytes += nbytes;
    return;
  }
  buffer.layout.scatter(static_cast<const std::byte*>(data), buffer.data);
  buffer.contents = contents;
  ++state.copied;
  state.copied_bytes += nbytes;
}

// Inputs whose buffers a run has written to, though it should not: they are copied each time.
void Engine::find_changed(State& state, const anesdk_arguments& given) {
  for (size_t i = 0; i < state.inputs.size(); ++i)
    if (const mil::Type& type = state.inputs[i].type;
        state.inputs[i].shares < 0 &&
        std::memcmp(Elements(state.loaded->input(i), type).data(), given.inputs[i], type.nbytes()) != 0)
      state.changed[i] = true;
}

// Nothing is written before everything is known to be right. A program that fails is taken out of the engine and
// loaded again, once: its service may have been restarted, with which all that was loaded is gone.
void Engine::run(const Shared& state, const anesdk_arguments& given) {
  worker_.check_process();
  worker_.wait_for_abandoned();  // it may be a run of this program
  try {
    execute(state, given);
  } catch (const mil::Error& error) {
    ++state->failures;
    if (error.status() != ANESDK_RUNTIME_ERROR) throw;
    execute(state, given);
  }
  Loaded& loaded = *state->loaded;
  std::vector<Elements> made;
  size_t lifeless = 0;
  for (size_t o = 0; o < state->outputs.size(); ++o) {
    const std::byte* data = made.emplace_back(loaded.output(o), state->outputs[o].type).data();
    if (!state->checked && can_poison(state->inputs, state->outputs, o)) check_written(data, state->outputs[o]);
    lifeless += is_lifeless(data, state->outputs[o]);
  }
  if (lifeless == state->outputs.size() && !state->is_witness) prove(state->limits);
  if (!state->checked) find_changed(*state, given);
  for (size_t o = 0; o < state->outputs.size(); ++o) {
    std::memcpy(given.outputs[o], made[o].data(), state->outputs[o].type.nbytes());
    loaded.output(o).contents = contents_of(given.output_contents, o);
  }
  state->checked = state->settled = true;
  ++state->runs;
}

// Whether the buffers still hold what is noted of them is only known after a run that succeeded.
void Engine::execute(const Shared& state, const anesdk_arguments& given) {
  if (!state->loaded) load(state);
  const bool settled = std::exchange(state->settled, false);
  for (size_t i = 0; i < state->inputs.size(); ++i) {
    const bool keeps = settled && !state->changed[i];
    copy_in(*state, i, given.inputs[i], contents_of(given.input_contents, i), keeps);
  }
  if (!state->checked)
    for (size_t o = 0; o < state->outputs.size(); ++o)
      if (can_poison(state->inputs, state->outputs, o)) poison(state->loaded->output(o));
  worker_.call("running a program", state->limits.run_limit, [this, state] {
    try {
      state->loaded->execute();
    } catch (...) {
      unload_now(*state);
      throw;
    }
    const auto it = std::find(loaded_.begin(), loaded_.end(), state);
    if (it != loaded_.end()) loaded_.splice(loaded_.end(), loaded_, it);
  });
}

// Results of nothing but zeros, or of nothing but NaN, may be right. They are believed where the engine can multiply
// and add.
void Engine::prove(const Limits& limits) {
  constexpr uint16_t kOne = 0x3c00, kPart = 0x2800, kTwo = 0x4000;  // kPart is 1/32
  const std::lock_guard lock(witness_mutex_);
  if (!witness_) {
    witness_ = make(mil::parse(kWitness), limits, {});
    witness_->is_witness = true;
  }
  const EngineProgram::Held running(*witness_);
  std::vector<uint16_t> ones(kWitnessElements, kOne), sums(kWitnessElements);
  const std::vector<uint16_t> parts(kWitnessElements * kWitnessElements, kPart);
  const void* const inputs[] = {ones.data(), parts.data()};
  void* const outputs[] = {sums.data()};
  run(witness_, {inputs, outputs, nullptr, nullptr});
  if (std::any_of(sums.begin(), sums.end(), [](uint16_t sum) { return sum != kTwo; }))
    throw mil::Error(
        "[ane] the engine reported success, gave nothing but zeros or NaN, and cannot add up 64 times 1/32",
        ANESDK_WRONG_RESULT);
}

}  // namespace anesdk::ane
