#include "ane/symbols.h"

#include <dlfcn.h>

#include <cstdlib>

namespace anesdk::ane {
namespace {

// In the system's shared cache: dlopen finds it although there is no such file.
constexpr const char* kFramework = "/System/Library/PrivateFrameworks/Espresso.framework/Espresso";

constexpr int kMacOS = 15;

template <class Pointer>
void find(void* library, const char* symbol, Pointer& address) {
  address = reinterpret_cast<Pointer>(dlsym(library, symbol));
}

}  // namespace

std::string espresso_path() {
  const char* given = std::getenv("ANEJAX_ESPRESSO");
  return given && *given ? given : kFramework;
}

void check_system(const std::string& version) {
  if (version.empty() || std::atoi(version.c_str()) >= kMacOS) return;
  throw mil::Error("[ane] the engine's programs are of the opset ios18, which macOS knows from version " +
                       std::to_string(kMacOS) + " on; this is macOS " + version,
                   ANESDK_ENGINE_MISSING);
}

Symbols load_symbols(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* reason = dlerror();
    throw mil::Error("[ane] the Neural Engine is reached through Espresso, on a Mac with Apple silicon; " + path +
                         " cannot be opened: " + (reason ? reason : "no reason given"),
                     ANESDK_ENGINE_MISSING);
  }
  Symbols symbols;
  std::string missing;
  find(library, "e5rt_get_last_error_message", symbols.last_error);
  find(library, "objc_autoreleasePoolPush", symbols.pools.push);  // of a library that Espresso is linked with
  find(library, "objc_autoreleasePoolPop", symbols.pools.pop);
#define ANESDK_E5RT_FIND(member, symbol, ...)    \
  find(library, symbol, symbols.member.address); \
  symbols.member.last_error = symbols.last_error;
#define ANESDK_E5RT_MISSING(member, symbol, ...) \
  if (!symbols.member) missing += (missing.empty() ? "" : ", ") + std::string(symbol);
  ANESDK_E5RT_REQUIRED(ANESDK_E5RT_FIND)
  ANESDK_E5RT_OPTIONAL(ANESDK_E5RT_FIND)
  ANESDK_E5RT_REQUIRED(ANESDK_E5RT_MISSING)
#undef ANESDK_E5RT_FIND
#undef ANESDK_E5RT_MISSING
  if (missing.empty()) return symbols;
  dlclose(library);
  throw mil::Error("[ane] " + path + " lacks functions that the engine device calls: " + missing,
                   ANESDK_ENGINE_MISSING);
}

}  // namespace anesdk::ane
