#include "ane/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "digest.h"
#include "hosted_call.h"
#include "mil/error.h"

namespace anesdk::ane {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLockPoll{5};

[[noreturn]] void fail_file(const fs::path& path, const std::string& what) {
  throw mil::Error("[ane] " + path.string() + " " + what + "; set ANEJAX_CACHE to a folder that can be written",
                   ANESDK_RUNTIME_ERROR);
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool write_all(int file, const std::string& content) {
  for (size_t done = 0; done < content.size();) {
    const ssize_t wrote = ::write(file, content.data() + done, content.size() - done);
    if (wrote < 0 && errno != EINTR) return false;
    done += static_cast<size_t>(std::max<ssize_t>(wrote, 0));
  }
  return true;
}

// Under another name first, so that a reader never meets half a file. What lies there under that name, left by a
// process that died or put there as a link to somebody's file, is not written to.
void write_file(const fs::path& path, const std::string& content) {
  fs::path part = path;
  part += ".part";
  ::unlink(part.c_str());
  const int file = ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  bool done = file >= 0 && write_all(file, content);
  if (file >= 0) done &= ::close(file) == 0;
  if (!done || ::rename(part.c_str(), path.c_str()) != 0) fail_file(path, "cannot be written");
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail_file(path, "cannot be made: " + error.message());
}

// Files are compared in full besides, so that equal digests of unequal programs cost a compile, no more.
std::string folder_name(const std::map<std::string, std::string>& files) {
  uint64_t low = kDigestBegin, high = 0x9e3779b97f4a7c15;
  for (const auto& [name, content] : files) {
    low = digest(digest(low, name), content);
    high = digest(digest(high, content), name);
  }
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return text;
}

uint64_t bytes_in(const fs::path& folder) {
  uint64_t total = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) total += it->file_size(ignored);
  }
  return total;
}

struct Used {
  fs::file_time_type when;
  fs::path folder;
  uint64_t bytes;
};

fs::path lock_of(const fs::path& folder) {
  fs::path lock = folder;
  lock += ".lock";
  return lock;
}

int open_lock(const fs::path& path) { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666); }

bool try_lock(int file) { return ::flock(file, LOCK_EX | LOCK_NB) == 0; }

// Whoever removes a folder removes its lock too: a lock of a removed file excludes nobody.
bool is_at(int file, const fs::path& path) {
  struct stat opened{}, there{};
  return ::fstat(file, &opened) == 0 && ::lstat(path.c_str(), &there) == 0 && opened.st_ino == there.st_ino &&
         opened.st_dev == there.st_dev;
}

// False where somebody has the folder.
bool remove_unlocked(const fs::path& folder) {
  const fs::path lock = lock_of(folder);
  const int file = open_lock(lock);
  if (file < 0) return false;
  const bool free = try_lock(file) && is_at(file, lock);
  if (free) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    ::unlink(lock.c_str());
  }
  ::close(file);
  return free;
}

// `kept` stays whatever its size.
void prune(const fs::path& programs, const fs::path& kept, uint64_t max_bytes) {
  std::vector<Used> all;
  uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator it(programs, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!it->is_directory(ignored)) continue;
    all.push_back({fs::last_write_time(it->path() / "key", ignored), it->path(), bytes_in(it->path())});
    total += all.back().bytes;
  }
  std::sort(all.begin(), all.end(), [](const Used& a, const Used& b) { return a.when < b.when; });
  for (const Used& used : all) {
    if (total <= max_bytes) return;
    if (used.folder != kept && remove_unlocked(used.folder)) total -= used.bytes;
  }
}

const fs::path& made(const fs::path& folder) {
  make_folder(folder);
  return folder;
}

std::map<std::string, std::string> files_of(const ModelText& text, const std::string& environment) {
  std::map<std::string, std::string> files = {{"key", environment}, {"model.mil", text.mil}};
  if (!text.weights.empty()) files["weights.bin"] = text.weights;
  return files;
}

}  // namespace

fs::path cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (const std::string given = variable("ANEJAX_CACHE"); !given.empty())
    return given.starts_with("~/") ? fs::path(variable("HOME")) / given.substr(2) : fs::path(given);
#ifdef __APPLE__
  return fs::path(variable("HOME")) / "Library" / "Caches" / "anejax";
#else
  if (const std::string given = variable("XDG_CACHE_HOME"); !given.empty()) return fs::path(given) / "anejax";
  return fs::path(variable("HOME")) / ".cache" / "anejax";
#endif
}

FileLock::FileLock(const fs::path& path, std::chrono::milliseconds limit) : file_(-1) {
  const auto deadline = steady_clock::now() + limit;
  for (;;) {
    if (file_ < 0 && (file_ = open_lock(path)) < 0)
      fail_file(path, errno == ELOOP ? "is a link, which is not followed" : "cannot be opened");
    if (try_lock(file_)) {
      if (is_at(file_, path)) return;
      ::close(std::exchange(file_, -1));
      continue;
    }
    try {
      if (steady_clock::now() > deadline)
        throw mil::Error("[ane] somebody else, perhaps another process, has been compiling this program for " +
                             std::to_string(std::chrono::duration<double>(limit).count()) + " s and keeps " +
                             path.string() + "; the setting engine_compile_limit says how long to wait",
                         ANESDK_TIMEOUT);
      std::this_thread::sleep_for(kLockPoll);
      waited();
    } catch (...) {
      ::close(file_);
      throw;
    }
  }
}

FileLock::~FileLock() { ::close(file_); }

ProgramFolder::ProgramFolder(const fs::path& programs, const ModelText& text, const std::string& environment,
                             uint64_t max_bytes, std::chrono::milliseconds limit)
    : ProgramFolder(programs, files_of(text, environment), max_bytes, limit) {}

ProgramFolder::ProgramFolder(const fs::path& programs, const Files& files, uint64_t max_bytes,
                             std::chrono::milliseconds limit)
    : folder_(made(programs) / folder_name(files)), lock_(lock_of(folder_), limit) {
  if (!holds(files)) {
    std::error_code error;
    fs::remove_all(folder_, error);
    make_folder(folder_);
    for (const auto& [name, content] : files) write_file(folder_ / name, content);
    prune(programs, folder_, max_bytes);
  }
  make_folder(folder_ / "cache");
  std::error_code error;
  fs::last_write_time(folder_ / "key", fs::file_time_type::clock::now(), error);
}

bool ProgramFolder::holds(const Files& files) const {
  return std::all_of(files.begin(), files.end(),
                     [&](const auto& file) { return read_file(folder_ / file.first) == file.second; });
}

void ProgramFolder::mark_compiled() const { write_file(folder_ / "compiled", ""); }

void ProgramFolder::discard() const noexcept {
  std::error_code error;
  fs::remove(folder_ / "compiled", error);
  fs::remove_all(folder_ / "cache", error);
  fs::create_directory(folder_ / "cache", error);
}

// A bundle has main/main_<backend>... for each backend that it uses.
std::string ProgramFolder::placement() const {
  const std::string prefix = "main_";
  std::string found = "unknown";
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder_ / "cache", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (it->path().parent_path().filename() != "main" || !name.starts_with(prefix)) continue;
    if (!name.starts_with(prefix + "ane")) return name.substr(prefix.size());
    found = "ane";
  }
  return found;
}

}  // namespace anesdk::ane
