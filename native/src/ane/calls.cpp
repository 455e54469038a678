#include "ane/calls.h"

#include <cxxabi.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <typeinfo>

namespace anesdk::ane {
namespace {

constexpr std::array kStatusWords = {
    "ok",
    "invalid argument",
    "invalid operation, or a call that this system no longer has",
    "allocation failed",
    "out of bounds",
    "invalid type of a parameter",
    "invalid data type",
};
constexpr int32_t kForgotten = 13;
constexpr size_t kMessageBytes = 2000;
constexpr const char* kLastError = "; its last error: ";

std::string pattern_of_path() {
  const char* folder = std::getenv("TMPDIR");
  return std::string(folder && *folder ? folder : "/tmp") + "/anejax-stderr-" + std::to_string(::getpid()) + "-XXXXXX";
}

int open_new(std::string& path) {
  const int file = ::mkstemp(path.data());
  if (file >= 0) ::fcntl(file, F_SETFD, FD_CLOEXEC);
  return file;
}

std::string words_of(LastError last_error) {
  const char* words = last_error ? last_error() : nullptr;
  return words && *words ? kLastError + std::string(words, ::strnlen(words, kMessageBytes)) : "";
}

std::string type_thrown() {
  const std::type_info* const type = abi::__cxa_current_exception_type();
  if (!type) return "unknown";
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> readable(abi::__cxa_demangle(type->name(), nullptr, nullptr, &status),
                                                        std::free);
  return readable ? readable.get() : type->name();
}

std::string read_tail(int file, size_t limit) {
  const off_t size = ::lseek(file, 0, SEEK_END);
  if (size <= 0) return "";
  const off_t start = std::max<off_t>(size - static_cast<off_t>(limit), 0);
  std::string text(static_cast<size_t>(size - start), '\0');
  const ssize_t got = ::pread(file, text.data(), text.size(), start);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  text.erase(text.find_last_not_of(" \n") + 1);
  return text;
}

}  // namespace

const char* status_words(int32_t status) {
  if (status == kForgotten)
    return "must re-compile: the system has no room for the program, or no longer has what it was compiled to";
  return status >= 0 && static_cast<size_t>(status) < kStatusWords.size() ? kStatusWords[static_cast<size_t>(status)]
                                                                          : "a status of unknown meaning";
}

void fail_status(const char* function, int32_t status, LastError last_error) {
  const std::string what = "[ane] " + std::string(function) + " answered " + std::to_string(status) + ", ";
  throw mil::Error(what + status_words(status) + words_of(last_error),
                   status == 3 ? ANESDK_OUT_OF_MEMORY : ANESDK_RUNTIME_ERROR);
}

void fail_threw(const char* function, const char* what, LastError last_error) {
  const std::string words = what ? std::string(what).substr(0, kMessageBytes) : "an exception of type " + type_thrown();
  throw mil::Error("[ane] " + std::string(function) + " threw " + words + words_of(last_error), ANESDK_RUNTIME_ERROR);
}

Holder::~Holder() {
  try {
    for (; !held_.empty(); held_.pop_back()) (*held_.back().second)(&held_.back().first);
  } catch (...) {
  }
}

Handle Holder::hold(Handle handle, const Release& release) {
  held_.emplace_back(handle, &release);
  return handle;
}

// Without room for a file the engine still compiles; only its reasons are not told.
StderrCapture::StderrCapture() : path_(pattern_of_path()), file_(open_new(path_)) {
  if (file_ < 0) return;
  std::fflush(stderr);
  saved_ = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (saved_ >= 0 && ::dup2(file_, STDERR_FILENO) < 0) {
    ::close(saved_);
    saved_ = -1;
  }
}

StderrCapture::~StderrCapture() {
  give_back();
  if (file_ < 0) return;
  ::unlink(path_.c_str());
  ::close(file_);
}

void StderrCapture::restore() noexcept {
  if (saved_ < 0) return;
  std::fflush(stderr);
  ::dup2(saved_, STDERR_FILENO);
  ::close(saved_);
  saved_ = -1;
}

std::string StderrCapture::take() {
  restore();
  return file_ < 0 ? "" : read_tail(file_, kMessageBytes);
}

void StderrCapture::give_back() noexcept {
  if (saved_ < 0) return;
  restore();
  ::lseek(file_, 0, SEEK_SET);
  char block[4096];
  for (ssize_t got; (got = ::read(file_, block, sizeof block)) > 0;)
    if (::write(STDERR_FILENO, block, static_cast<size_t>(got)) != got) return;
}

}  // namespace anesdk::ane
