#include "engine_bench.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <random>

#include "check.h"
#include "mil/parser.h"

namespace anesdk::test {
namespace {

template <class F>
F* function(const char* name) {
  static void* library = dlopen(stand_in_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  void* address = library ? dlsym(library, name) : nullptr;
  if (!address) throw std::runtime_error(std::string("the stand-in lacks ") + name);
  return reinterpret_cast<F*>(address);
}

}  // namespace

std::string stand_in_path() { return ANESDK_ESPRESSO; }

const ane::Symbols& stand_in() {
  static const ane::Symbols symbols = ane::load_symbols(stand_in_path());
  return symbols;
}

uint64_t live_objects() { return function<decltype(standin_live)>("standin_live")(); }
uint64_t count_of(const char* event) { return function<decltype(standin_count)>("standin_count")(event); }
std::string broken_rules() { return function<decltype(standin_broken)>("standin_broken")(); }
void reset_stand_in() { function<decltype(standin_reset)>("standin_reset")(); }

Fault::Fault(const std::string& what) { ::setenv("ANEJAX_ESPRESSO_FAULT", what.c_str(), 1); }
Fault::~Fault() { ::unsetenv("ANEJAX_ESPRESSO_FAULT"); }

Folder::Folder() {
  std::string path = (std::filesystem::temp_directory_path() / "anejax-engine-XXXXXX").string();
  if (!::mkdtemp(path.data())) throw std::runtime_error("no temporary folder");
  path_ = path;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ane::Settings quick_settings(const Folder& folder) {
  ane::Settings settings;
  settings.programs = folder.path();
  settings.environment = "stand-in";
  return settings;
}

std::string golden(const std::string& name) { return read_file(source_dir() + "/tests/golden/" + name + ".ane.mil"); }

std::string chain(int length, int width) {
  const std::string type = "tensor<fp16, [2, " + std::to_string(width) + "]> ";
  std::string text = "program(1.3)\n{ func main<ios18>(" + type + "x) {\n", last = "x";
  for (int i = 0; i < length; ++i) {
    const std::string next = "y" + std::to_string(i);
    text += type + next + " = add(x = " + last + ", y = x)[name = string(\"" + next + "\")];\n";
    last = next;
  }
  return text + "} -> (" + last + "); }";
}

std::vector<Bits> random_inputs(const std::vector<ane::Port>& ports) {
  std::mt19937 random(7);
  std::vector<Bits> inputs;
  for (const ane::Port& port : ports) {
    inputs.emplace_back(port.type.elements());
    for (uint16_t& bits : inputs.back())
      bits = static_cast<uint16_t>((random() & 1) << 15 | (13 + random() % 3) << 10 | (random() & 1023));
  }
  return inputs;
}

std::vector<Bits> run(const ane::EngineProgram& program, const std::vector<Bits>& inputs,
                      const uint64_t* input_contents, const uint64_t* output_contents) {
  std::vector<Bits> outputs;
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const Bits& input : inputs) from.push_back(input.data());
  for (const ane::Port& port : program.outputs()) outputs.emplace_back(port.type.elements());
  for (Bits& output : outputs) to.push_back(output.data());
  program.run({from.data(), to.data(), input_contents, output_contents});
  return outputs;
}

std::unique_ptr<ane::EngineProgram> compile(ane::Engine& engine, const std::string& text, const ane::Limits& limits,
                                            const ane::Reuse& reuse) {
  return engine.compile(mil::parse(text), limits, reuse);
}

std::string accumulator() {
  const std::string type = "tensor<fp16, [1, 64]> ";
  return "program(1.3)\n{ func main<ios18>(" + type + "s, " + type + "x) {\n" + type +
         "o = add(x = s, y = x)[name = string(\"o\")];\n} -> (o); }";
}

}  // namespace anesdk::test
