// Folders of engine programs on disk, under the cache folder: what the compiler reads and what it leaves behind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "ane/model_text.h"

namespace anesdk::ane {

// ANEJAX_CACHE, or the user's cache directory.
std::filesystem::path cache_folder();

// A file lock held for the life of the object. Throws mil::Error when another process keeps it for too long.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int file_;
};

// The folder of one program, ready to be compiled from, and locked against other processes:
//   model.mil  weights.bin (if any)  key  compiled (once a compile succeeded)  cache/ (the compiler's own)
class ProgramFolder {
 public:
  // `environment` is all that a compiled program depends on besides its text. Folders used longest ago go when
  // all of them together pass `max_bytes`.
  ProgramFolder(const std::filesystem::path& programs, const ModelText& text, const std::string& environment,
                uint64_t max_bytes);

  std::string model() const { return (folder_ / "model.mil").string(); }
  std::string bundles() const { return (folder_ / "cache").string(); }
  bool compiled() const { return std::filesystem::exists(folder_ / "compiled"); }
  void mark_compiled() const;
  void discard() const noexcept;  // what the compiler left: the next compile starts anew

  // Where the compiler put the program: "ane", another backend's name, or "unknown" where it left no trace.
  std::string placement() const;

 private:
  bool holds(const std::map<std::string, std::string>& files) const;

  FileLock lock_;
  std::filesystem::path folder_;
};

}  // namespace anesdk::ane
