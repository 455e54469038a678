// Folders of engine programs on disk, under the cache folder: what the compiler reads and what it leaves behind.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "ane/model_text.h"

namespace anesdk::ane {

// ANEJAX_CACHE, or the user's cache directory.
std::filesystem::path cache_folder();

// A file lock held for the life of the object. While another one has it the host of the calling thread is asked now and
// then. Throws mil::Error when it is not free within `limit`, and where the file is a link.
class FileLock {
 public:
  FileLock(const std::filesystem::path& path, std::chrono::milliseconds limit);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int file_;
};

// The folder of one program, ready to be compiled from, and locked against others, in this process and in other ones,
// by the file <folder>.lock beside it:
//   model.mil  weights.bin (if any)  key  compiled (once a compile succeeded)  cache/ (the compiler's own)
class ProgramFolder {
 public:
  // `environment` is all that a compiled program depends on besides its text. Whoever else has the folder is waited for
  // up to `limit`. Folders used longest ago, and locked by nobody, go when all of them together pass `max_bytes`.
  ProgramFolder(const std::filesystem::path& programs, const ModelText& text, const std::string& environment,
                uint64_t max_bytes, std::chrono::milliseconds limit);

  std::string model() const { return (folder_ / "model.mil").string(); }
  std::string bundles() const { return (folder_ / "cache").string(); }
  bool compiled() const { return std::filesystem::exists(folder_ / "compiled"); }
  void mark_compiled() const;
  void discard() const noexcept;  // what the compiler left: the next compile starts anew

  // Where the compiler put the program: "ane", another backend's name, or "unknown" where it left no trace.
  std::string placement() const;

 private:
  using Files = std::map<std::string, std::string>;  // name -> content
  ProgramFolder(const std::filesystem::path& programs, const Files& files, uint64_t max_bytes,
                std::chrono::milliseconds limit);
  bool holds(const Files& files) const;

  std::filesystem::path folder_;
  FileLock lock_;
};

}  // namespace anesdk::ane
