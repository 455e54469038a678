#include "beats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "busy.h"

namespace anesdk::processes {
namespace {

using std::chrono::milliseconds;

constexpr int kTag = 2;
constexpr milliseconds kSilence{9'000};  // after which a process is given up, so that all end within ten seconds
constexpr int kBeatsInLimit = 10;
// Of a processor: a process that uses less is idle. The thread that sends beats uses up to 0.5 % of one.
constexpr double kIdleShare = 0.02;

milliseconds silence(const anesdk_processes& table) {
  return table.timeout > 0 ? std::min(kSilence, milliseconds(table.timeout / 2)) : kSilence;
}

// 0: no process is given up for being idle.
milliseconds idle(const anesdk_processes& table) { return milliseconds(table.timeout > 0 ? table.idle : 0); }

milliseconds period(const anesdk_processes& table) {
  const auto limit = idle(table);
  return (limit.count() > 0 ? std::min(limit, silence(table)) : silence(table)) / kBeatsInLimit;
}

std::string seconds(milliseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g s", static_cast<double>(time.count()) / 1000);
  return text;
}

int64_t microseconds(const timeval& time) { return int64_t{1'000'000} * time.tv_sec + time.tv_usec; }

// Whether a thread waits for a disk, which no counter shows while fsync() or a read is under way: its state is D in
// /proc/self/task/*/stat (proc_pid_stat(5)). Other systems than Linux do not say so that cheaply.
bool waits_for_disk() {
#ifdef __linux__
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::string line;
    std::getline(std::ifstream(task.path() / "stat"), line);
    const size_t name_end = line.rfind(')');  // the name before it may hold anything
    if (name_end != std::string::npos && line.compare(name_end, 3, ") D") == 0) return true;
  }
#endif
  return false;
}

}  // namespace

Beats::Beats(const anesdk_processes& table) : table_(table), turned_(Clock::now()) {
  gethostname(own_.machine, sizeof own_.machine - 1);
  for (int32_t i = 0; i < table.size; ++i) {
    if (i == table.index) continue;
    others_.push_back(std::make_unique<Other>());
    Other& other = *others_.back();
    other.index = i;
    other.heard = other.busy = turned_;
    receive(other);
    tell(other, turned_);
  }
}

void Beats::receive(Other& other) {
  check(function<Receive>(table_.irecv)(&other.in, static_cast<int>(sizeof(Beat)), table_.bytes, other.index, kTag,
                                        table_.communicator, other.receive.bytes),
        "Irecv");
  other.receives = true;
}

void Beats::take_stock() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  own_.microseconds = microseconds(used.ru_utime) + microseconds(used.ru_stime);
  const int64_t blocks = used.ru_inblock + used.ru_oublock + used.ru_majflt;
  if (blocks != blocks_ || Busy::any() || waits_for_disk()) ++own_.moves;
  blocks_ = blocks;
  own_.waits = waits_;
}

void Beats::tell(Other& other, Clock::time_point now) {
  other.out = own_;
  other.told = now;
  check(function<Send>(table_.isend)(&other.out, static_cast<int>(sizeof(Beat)), table_.bytes, other.index, kTag,
                                     table_.communicator, other.send.bytes),
        "Isend");
  other.sends = true;
}

void Beats::listen(Other& other, Clock::time_point now) {
  while (other.receives && ended(table_, &other.receive)) {
    other.receives = false;
    other.known = other.in;
    other.heard = now;
    judge(other, now);
    if (!other.known.leaving) receive(other);
  }
  if (other.sends && ended(table_, &other.send)) other.sends = false;
}

void Beats::judge(Other& other, Clock::time_point now) const {
  const Beat &known = other.known, &mark = other.mark;
  const auto enough = kIdleShare * static_cast<double>(std::chrono::microseconds(idle(table_)).count());
  if (known.waits || known.calls != mark.calls || known.moves != mark.moves ||
      static_cast<double>(known.microseconds - mark.microseconds) >= enough) {
    other.mark = known;
    other.busy = now;
  }
}

void Beats::turn() {
  const auto now = Clock::now();
  if (now - turned_ < period(table_) / 4) return;
  // A process that was stopped itself, as when a notebook computer sleeps, heard nobody because it did not listen.
  const bool slept = now - turned_ > silence(table_) / 2;
  turned_ = now;
  if (now - took_stock_ >= period(table_) / 2) {
    took_stock_ = now;
    take_stock();
  }
  for (const auto& pointer : others_) {
    Other& other = *pointer;
    if (slept) other.heard = other.busy = now;
    listen(other, now);
    if (!other.sends && !own_.leaving && now - other.told >= period(table_)) tell(other, now);
  }
}

std::string Beats::name(const Other& other) {
  std::string name = "process " + std::to_string(other.index);
  const char* machine = other.known.machine;
  if (*machine) name += " on " + std::string(machine, std::find(machine, std::end(other.known.machine), '\0'));
  return name;
}

void Beats::begin_wait() {
  waits_since_ = Clock::now();
  ++waits_;
}

void Beats::require_all() const {
  if (table_.timeout <= 0) return;
  for (const auto& other : others_) {
    if (turned_ - other->heard <= silence(table_)) continue;
    fail(name(*other) + " has sent nothing for " + seconds(silence(table_)) +
         ": it was stopped, or its machine or the network is gone.");
  }
}

void Beats::require_busy() const {
  const auto limit = idle(table_);
  if (limit.count() == 0) return;
  for (const auto& other : others_) {
    if (other->known.calls >= own_.calls) continue;
    if (other->heard - std::max(other->busy, waits_since_.load()) < limit)
      continue;  // by what it told: silence is another fault
    fail(name(*other) + " did not come within " + seconds(limit) +
         " and is idle: it sleeps, or waits for a lock, for input or for a program. If that is meant, set "
         "ANEJAX_DISTRIBUTED_IDLE to more seconds, or to 0 to wait as long as for a process that computes.");
  }
}

std::string Beats::late() const {
  const auto last = std::min_element(others_.begin(), others_.end(), [](const auto& one, const auto& other) {
    return one->known.calls < other->known.calls;
  });
  return last != others_.end() && (*last)->known.calls < own_.calls ? name(**last) : "another process";
}

bool Beats::leave() {
  bool all = true;
  const auto now = Clock::now();
  for (const auto& pointer : others_) {
    Other& other = *pointer;
    listen(other, now);
    if (!other.sends && !other.out.leaving) {
      own_.leaving = 1;
      tell(other, now);
    }
    all &= !other.sends && !other.receives;
  }
  return all;
}

}  // namespace anesdk::processes
