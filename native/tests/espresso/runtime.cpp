#include "runtime.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

namespace standin {
namespace {

constexpr std::chrono::milliseconds kHang{900};

struct Record {
  std::mutex mutex;
  std::set<Object*> live;
  std::map<std::string, uint64_t> events;
  std::string broken;
  std::thread::id thread;
  std::string last_error;
  void* pool = nullptr;  // the one that is open, of the calling thread
};

Record& record() {
  static Record* all = new Record;
  return *all;
}

// What an exception of another C++ library is to the caller: no std::exception that it knows.
struct ForeignError {};

void inject(const std::string& function) {
  std::string kind;
  if (!fault(function, &kind)) return;
  if (kind == "throw") throw E5RTError("E5RTError: injected into " + function);
  if (kind == "throw_int") throw 7;
  if (kind == "throw_foreign") throw ForeignError();
  if (kind == "abort") {
    std::fprintf(stderr, "libc++abi: terminating due to uncaught exception\n");
    std::abort();
  }
  if (kind == "hang") {
    std::this_thread::sleep_for(kHang);
    return;
  }
  if (kind == "stderr") {
    std::fprintf(stderr, "matmul not supported on any backend\n");
    throw Answer{INVALID_ARGUMENT, ""};
  }
  throw Answer{std::atoi(kind.c_str()), ""};
}

}  // namespace

const char* name_of(Kind kind) {
  constexpr std::array names = {"config",    "compiler", "options", "library", "function", "op options",
                                "operation", "port",     "desc",    "buffer",  "stream"};
  return names[static_cast<size_t>(kind)];
}

void broken(int32_t status, const std::string& rule) { throw Answer{status, rule}; }

bool fault(const std::string& what, std::string* argument) {
  const char* set = std::getenv("ANEJAX_ESPRESSO_FAULT");
  const std::string text = set ? set : "";
  const size_t colon = text.find(':');
  if (colon == std::string::npos || text.substr(0, colon) != what) return false;
  if (argument) *argument = text.substr(colon + 1);
  return true;
}

bool fault(const std::string& what, const char* argument) {
  std::string given;
  return fault(what, &given) && given == argument;
}

int32_t call(const char* function, const std::function<void()>& body) {
  Record& all = record();
  const std::lock_guard lock(all.mutex);
  try {
    if (all.thread == std::thread::id()) all.thread = std::this_thread::get_id();
    if (all.thread != std::this_thread::get_id()) broken(INVALID_OPERATION, "called from a second thread");
    if (!all.pool) broken(INVALID_OPERATION, "called outside of an autorelease pool");
    inject(function);
    body();
    return 0;
  } catch (const Answer& answer) {
    all.last_error =
        "E5RT status " + std::to_string(answer.status) + (answer.broken.empty() ? "" : ": " + answer.broken);
    if (!answer.broken.empty()) all.broken += std::string(function) + ": " + answer.broken + "\n";
    return answer.status;
  }
}

Object* keep(std::unique_ptr<Object> object) {
  record().live.insert(object.get());
  return object.release();
}

Object& find(void* handle, Kind kind) {
  auto* object = static_cast<Object*>(handle);
  if (!record().live.count(object))
    broken(INVALID_ARGUMENT, std::string("expected a live ") + name_of(kind) + ", got something else");
  if (object->kind != kind)
    broken(INVALID_ARGUMENT, std::string("expected a ") + name_of(kind) + ", got a " + name_of(object->kind));
  return *object;
}

void check_out(const void* out) {
  if (!out) broken(INVALID_ARGUMENT, "the address of the result is null");
  if (record().live.count(static_cast<Object*>(const_cast<void*>(out))))
    broken(INVALID_ARGUMENT, "an object where the address of the result belongs");
}

void check_text(const char* text) {
  if (!text) broken(INVALID_ARGUMENT, "a text is null");
  if (record().live.count(reinterpret_cast<Object*>(const_cast<char*>(text))))
    broken(INVALID_ARGUMENT, "an object where a text belongs");
}

void release(void** handle, Kind kind) {
  check_out(handle);
  Object& object = find(*handle, kind);
  for (const Object* other : record().live)
    if (std::find(other->needs.begin(), other->needs.end(), &object) != other->needs.end())
      broken(INVALID_OPERATION, std::string("released a ") + name_of(kind) + " before its " + name_of(other->kind));
  record().live.erase(&object);
  delete &object;
  *handle = nullptr;
}

size_t count(Kind kind) {
  const auto& live = record().live;
  return static_cast<size_t>(std::count_if(live.begin(), live.end(), [&](const Object* o) { return o->kind == kind; }));
}

void each(Kind kind, const std::function<void(Object&)>& visit) {
  for (Object* object : record().live)
    if (object->kind == kind) visit(*object);
}

void give(void** out, std::unique_ptr<Object> object) { *out = keep(std::move(object)); }

void note(const char* event) { ++record().events[event]; }
uint64_t noted(const char* event) { return record().events[event]; }

}  // namespace standin

#define STANDIN_API extern "C" __attribute__((visibility("default")))

STANDIN_API const char* e5rt_get_last_error_message(void) { return standin::record().last_error.c_str(); }

STANDIN_API void* objc_autoreleasePoolPush(void) {
  standin::Record& all = standin::record();
  if (all.pool) std::abort();  // never one inside another here
  return all.pool = new char;
}

STANDIN_API void objc_autoreleasePoolPop(void* pool) {
  standin::Record& all = standin::record();
  if (pool != all.pool) std::abort();
  delete static_cast<char*>(std::exchange(all.pool, nullptr));
}

STANDIN_API uint64_t standin_live(void) {
  const std::lock_guard lock(standin::record().mutex);
  return standin::record().live.size();
}

STANDIN_API uint64_t standin_count(const char* event) {
  const std::lock_guard lock(standin::record().mutex);
  return standin::record().events[event];
}

STANDIN_API const char* standin_broken(void) {
  static thread_local std::string copy;
  const std::lock_guard lock(standin::record().mutex);
  copy = standin::record().broken;
  return copy.c_str();
}

STANDIN_API void standin_reset(void) {
  standin::Record& all = standin::record();
  const std::lock_guard lock(all.mutex);
  for (standin::Object* object : all.live) delete object;
  all.live.clear();
  all.events.clear();
  all.broken.clear();
  all.last_error.clear();
  all.thread = {};
}
