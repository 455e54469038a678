// One function of Espresso's C interface, and how it is called: what it throws ends here, and its status becomes words.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "mil/error.h"

namespace anesdk::ane {

using Handle = void*;  // opaque, of any kind

// The meaning of a status of the interface.
const char* status_words(int32_t status);

// Tells what went wrong last, as a text of the interface; null or "" where it has none.
using LastError = const char* (*)();

// The errors end with the text of `last_error`, which may be null.
[[noreturn]] void fail_status(const char* function, int32_t status, LastError last_error);
// what: null where the exception is not known to be a std::exception, inside of a handler; its type is named then. On
// arm64 macOS a libc++ that is linked statically has type_info objects of its own, which are compared by address, so
// that it does not know the exceptions of the system's libc++.
[[noreturn]] void fail_threw(const char* function, const char* what, LastError last_error);

// Objective-C's pools of objects that are given back later. A thread without one keeps them for ever.
struct AutoreleasePools {
  void* (*push)() = nullptr;
  void (*pop)(void*) = nullptr;
};

template <class Signature>
class Function;

template <class... Args>
class Function<int32_t(Args...)> {
 public:
  const char* name = "";
  int32_t (*address)(Args...) = nullptr;
  LastError last_error = nullptr;

  explicit operator bool() const { return address != nullptr; }

  // Throws mil::Error where the status is not 0, and for whatever the function throws.
  template <class... Given>
  void operator()(Given&&... given) const {
    int32_t status = 0;
    try {
      status = address(std::forward<Given>(given)...);
    } catch (const std::exception& e) {
      fail_threw(name, e.what(), last_error);
    } catch (...) {
      fail_threw(name, nullptr, last_error);
    }
    if (status != 0) fail_status(name, status, last_error);
  }
};

using Release = Function<int32_t(Handle*)>;

// Calls a creator, which takes the address of the result as its first argument.
template <class... Args, class... Given>
Handle create(const Function<int32_t(Handle*, Args...)>& creator, Given... given) {
  Handle made = nullptr;
  creator(&made, given...);
  if (!made) throw mil::Error(std::string("[ane] ") + creator.name + " returned nothing", ANESDK_RUNTIME_ERROR);
  return made;
}

// References to objects of the interface, given back in the reverse order of holding them. Where giving one back fails,
// those before it, which it may still need, are left as they are: nothing better can be done.
class Holder {
 public:
  Holder() = default;
  Holder(Holder&& other) noexcept = default;
  Holder& operator=(Holder&&) = delete;
  ~Holder();

  Handle hold(Handle handle, const Release& release);  // `release` must outlive the object

 private:
  std::vector<std::pair<Handle, const Release*>> held_;
};

// Catches what is written to the process's standard error, where the engine's compiler tells why it refused. Other
// threads' lines are caught with it: what is not wanted for a message is written out again by give_back(). The lines go
// to a file anejax-stderr-<process>-* in the folder for temporary files, which stays there only if the process dies.
class StderrCapture {
 public:
  StderrCapture();
  ~StderrCapture();  // give_back(), unless taken
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

  std::string take();  // ends the capture: the last 2000 bytes
  void give_back() noexcept;

 private:
  void restore() noexcept;

  int saved_ = -1;  // the original descriptor 2, or -1 when not capturing
  std::string path_;
  int file_ = -1;
};

}  // namespace anesdk::ane
