#include "beats.h"

#include <unistd.h>

#include <algorithm>

namespace anesdk::processes {
namespace {

using std::chrono::milliseconds;

constexpr int kTag = 2;
constexpr milliseconds kSilence{10'000};  // after which a process is given up
constexpr int kBeatsInSilence = 10;

milliseconds silence(const anesdk_processes& table) {
  return table.timeout > 0 ? std::min(kSilence, milliseconds(table.timeout / 2)) : kSilence;
}

}  // namespace

Beats::Beats(const anesdk_processes& table) : table_(table), turned_(Clock::now()) {
  gethostname(own_.machine, sizeof own_.machine - 1);
  for (int32_t i = 0; i < table.size; ++i) {
    if (i == table.index) continue;
    others_.push_back(std::make_unique<Other>());
    Other& other = *others_.back();
    other.index = i;
    other.heard = turned_;
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
    if (!other.known.leaving) receive(other);
  }
  if (other.sends && ended(table_, &other.send)) other.sends = false;
}

void Beats::turn() {
  const auto now = Clock::now();
  const auto period = silence(table_) / kBeatsInSilence;
  if (now - turned_ < period / 4) return;
  // A process that was stopped itself, as when a notebook computer sleeps, heard nobody because it did not listen.
  const bool slept = now - turned_ > silence(table_) / 2;
  turned_ = now;
  for (const auto& pointer : others_) {
    Other& other = *pointer;
    if (slept) other.heard = now;
    listen(other, now);
    if (!other.sends && !own_.leaving && now - other.told >= period) tell(other, now);
  }
}

std::string Beats::name(const Other& other) {
  std::string name = "process " + std::to_string(other.index);
  const char* machine = other.known.machine;
  if (*machine) name += " on " + std::string(machine, std::find(machine, std::end(other.known.machine), '\0'));
  return name;
}

void Beats::require_all() const {
  if (table_.timeout <= 0) return;
  for (const auto& other : others_) {
    if (turned_ - other->heard <= silence(table_)) continue;
    fail(name(*other) + " has sent nothing for " + std::to_string(silence(table_).count() / 1000) +
         " s: it was stopped, or its machine or the network is gone.");
  }
}

std::string Beats::late() const {
  for (const auto& other : others_) {
    if (other->known.calls < own_.calls) return name(*other);
  }
  return "another process";
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
