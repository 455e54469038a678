#include "processes.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "beats.h"
#include "hosted_call.h"
#include "mil/error.h"
#include "mpi_calls.h"

namespace anesdk::processes {
namespace {

using std::chrono::steady_clock;

constexpr int kTag = 1;
constexpr int64_t kPatience = 10'000;         // milliseconds after which a process says for whom it waits
constexpr size_t kLargest = size_t{1} << 30;  // bytes of one message: MPI counts elements in an int

anesdk_processes table = [] {
  anesdk_processes alone{};
  alone.size = 1;
  return alone;
}();
// MPI may be asked by one thread at a time only (MPI_THREAD_SERIALIZED). Never destroyed, as a thread may still wait
// when the process ends.
std::mutex& calls = *new std::mutex;
Beats* beats = nullptr;  // of this table; never destroyed, as MPI keeps addresses in them
bool left = false;       // this process says nothing more
bool broken = false;     // a call was left before it ended, so later ones would meet the wrong ones of other processes

// Memory that MPI reads and writes. It is apart from the program's, because a call that is left early goes on in MPI:
// its memory is then never freed.
struct Message {
  explicit Message(size_t bytes) : memory(new std::byte[std::max<size_t>(bytes, 1)]) {}
  std::unique_ptr<std::byte[]> memory;
};

void copy(void* to, const void* from, size_t bytes) {
  if (bytes) std::memcpy(to, from, bytes);  // the pointers may be null where there is nothing
}

// Asks done() until it is true: in short turns first, since a message on one machine takes microseconds.
template <class Done, class Late>
void wait_until(Done done, Late late) {
  const auto begin = steady_clock::now();
  bool told = false;
  for (int64_t turn = 0; !done(); ++turn) {
    if (turn < 200) continue;
    std::this_thread::yield();
    if (turn % 64 != 0) continue;
    waited();
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - begin).count();
    if (passed > kPatience && !told) {
      told = true;
      std::fprintf(stderr, "[processes] process %d has waited %lld s for %s.\n", table.index,
                   static_cast<long long>(kPatience / 1000), late().c_str());
    }
    if (table.timeout > 0 && passed > table.timeout) {
      fail(late() + " did not come within " + std::to_string(table.timeout / 1000) +
           " s (ANEJAX_DISTRIBUTED_TIMEOUT). It lives, so it computes or waits for something else.");
    }
    if (passed > 20) std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

// With `calls` locked, while this process waits for the others.
void require_all() {
  beats->turn();
  beats->require_all();
  beats->require_busy();
}

// Tells the other processes, as long as it lives, that this one waits for them.
class Waits {
 public:
  Waits() { beats->begin_wait(); }
  ~Waits() { beats->end_wait(); }
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;
};

void require_whole() {
  if (broken) fail("an earlier call ended before all processes had answered; start the program again.");
}

// Starts requests and waits for them; what they need stays in memory if they cannot be waited for.
template <class Start>
void complete(Message& from, Message& to, size_t count, Start start) {
  require_whole();
  try {
    beats->begin_call();
    std::vector<Request> requests(count);
    for (size_t i = 0; i < count; ++i) start(i, requests[i].bytes);
    const Waits waits;
    for (Request& request : requests) {
      wait_until([&] { return ended(table, &request) || (require_all(), false); }, [] { return beats->late(); });
    }
  } catch (...) {
    broken = true;
    (void)from.memory.release(), (void)to.memory.release();
    throw;
  }
}

// A message under way.
struct Flight {
  Message from, to;
  std::vector<Request> requests;
  bool done = false;
};

auto& flights = *new std::map<int64_t, Flight>;  // guarded by `calls`
int64_t last_flight = 0;
auto& begun = *new std::condition_variable;

// Sees how far the messages are. With `calls` locked.
bool all_done() {
  bool all = true;
  for (auto& [id, flight] : flights) {
    if (flight.done) continue;
    flight.done = true;
    for (Request& request : flight.requests) flight.done &= ended(table, &request);
    all &= flight.done;
  }
  return all;
}

// MPI moves data while one of its functions runs (MPI 4.1, section 2.9), so a thread asks how far messages are while
// the program computes, and tells the other processes that this one lives. It is never joined: it ends with the
// process.
void keep_going() {
  std::unique_lock lock(calls);
  while (!left) {
    try {
      beats->turn();
      if (flights.empty() || broken || all_done()) begun.wait_for(lock, std::chrono::milliseconds(100));
    } catch (const mil::Error&) {
      broken = true;  // the next call says so
      begun.wait(lock);
    }
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    lock.lock();
  }
}

// Hands a message over to MPI.
template <class Begin>
int64_t start(Flight flight, Begin begin) {
  if (table.size == 1) fail("there is no other process.");
  const std::lock_guard lock(calls);
  require_whole();
  beats->begin_call();
  Flight& kept = flights.emplace(++last_flight, std::move(flight)).first->second;  // before MPI learns the addresses
  begin(kept);
  begun.notify_one();
  return last_flight;
}

// Of a gather or an exchange: `sent` bytes of memory at `from`, and a block of `bytes` from each process.
Flight blocks(const void* from, size_t bytes, size_t sent) {
  if (bytes > kLargest) fail("expected blocks of 1 GiB at most.");
  Flight flight{Message(sent), Message(bytes * static_cast<size_t>(table.size)), std::vector<Request>(bytes > 0)};
  copy(flight.from.memory.get(), from, sent);
  return flight;
}

void spread(const void* call, const char* name, const Message& from, const Message& to, size_t bytes, void* request) {
  const int count = static_cast<int>(bytes);
  check(function<Spread>(call)(from.memory.get(), count, table.bytes, to.memory.get(), count, table.bytes,
                               table.communicator, request),
        name);
}

int64_t start_spread(const void* call, const char* name, const void* from, size_t bytes, size_t sent) {
  return start(blocks(from, bytes, sent), [&](Flight& kept) {
    for (Request& request : kept.requests) spread(call, name, kept.from, kept.to, bytes, request.bytes);
  });
}

// Whether all processes came with the same digest; one that leaves does not mind.
bool agree_to(uint64_t digest) {
  std::vector<uint64_t> all(static_cast<size_t>(table.size));
  Flight flight = blocks(&digest, sizeof digest, sizeof digest);
  {
    const std::lock_guard lock(calls);
    complete(flight.from, flight.to, 1, [&](size_t, void* request) {
      spread(table.iallgather, "Iallgather", flight.from, flight.to, sizeof digest, request);
    });
  }
  std::memcpy(all.data(), flight.to.memory.get(), all.size() * sizeof digest);
  const auto other = std::find_if(all.begin(), all.end(), [&](uint64_t theirs) { return theirs != digest; });
  if (other == all.end()) return true;
  if (digest == ANESDK_PROCESS_LEFT) return false;
  broken = true;
  const auto left = std::find(all.begin(), all.end(), uint64_t{ANESDK_PROCESS_LEFT});
  if (left != all.end()) fail("process " + std::to_string(left - all.begin()) + " has ended.");
  fail("process " + std::to_string(other - all.begin()) + " runs another program than process " +
       std::to_string(table.index) +
       ". Every process must run the same functions on arguments of the same shapes, in the same order.");
}

}  // namespace

void set(const anesdk_processes* given) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string("[set_processes] ") + what);
  };
  require(given != nullptr, "the table is null");
  require(given->size >= 1 && given->index >= 0 && given->index < given->size, "expected 0 <= index < size");
  if (given->size > 1) {
    for (const void* call :
         {given->iallreduce, given->iallgather, given->ialltoall, given->isend, given->irecv, given->test}) {
      require(call != nullptr, "a function is null");
    }
    require(given->request_bytes > 0 && given->request_bytes <= sizeof(Request), "a request has more than 16 bytes");
  }
  const std::lock_guard lock(calls);
  require(beats == nullptr, "the processes were set before");
  table = *given;
  if (table.size == 1) return;
  beats = new Beats(table);
  std::thread(keep_going).detach();
}

int32_t size() { return table.size; }
int32_t index() { return table.index; }

void agree(uint64_t digest) {
  if (table.size > 1) (void)agree_to(digest);
}

void leave() {
  if (table.size == 1) return;
  {
    const std::lock_guard lock(calls);
    beats->be_patient();
  }
  const bool together = agree_to(ANESDK_PROCESS_LEFT);
  std::unique_lock lock(calls);
  left = true;
  if (!together) return;  // the others are told, and end
  wait_until([] { return beats->leave(); }, [] { return beats->late(); });
}

int64_t start_sum(std::span<const Piece> pieces, mil::DType dtype) {
  size_t bytes = 0;
  for (const Piece& piece : pieces) bytes += piece.bytes;
  Flight flight{Message(bytes), Message(bytes), std::vector<Request>((bytes + kLargest - 1) / kLargest)};
  std::byte* at = flight.from.memory.get();
  for (const Piece& piece : pieces) {
    copy(at, piece.from, piece.bytes);
    at += piece.bytes;
  }
  const size_t element = mil::size_of(dtype);
  return start(std::move(flight), [&](Flight& kept) {
    for (size_t i = 0; i < kept.requests.size(); ++i) {
      const size_t begin = i * kLargest, part = std::min(bytes - begin, kLargest);
      check(function<Reduce>(table.iallreduce)(kept.from.memory.get() + begin, kept.to.memory.get() + begin,
                                               static_cast<int>(part / element), table.types[static_cast<int>(dtype)],
                                               table.sum, table.communicator, kept.requests[i].bytes),
            "Iallreduce");
    }
  });
}

int64_t start_gather(const void* from, size_t bytes) {
  return start_spread(table.iallgather, "Iallgather", from, bytes, bytes);
}

int64_t start_exchange(const void* from, size_t bytes) {
  return start_spread(table.ialltoall, "Ialltoall", from, bytes, bytes * static_cast<size_t>(table.size));
}

void finish(int64_t message, std::span<const Piece> pieces) {
  const Waits waits;
  wait_until(
      [&] {
        const std::lock_guard lock(calls);
        require_whole();
        const auto found = flights.find(message);
        if (found == flights.end()) fail("a message was finished twice.");
        return all_done() || found->second.done || (require_all(), false);
      },
      [] {
        const std::lock_guard lock(calls);
        return beats->late();
      });
  const std::lock_guard lock(calls);
  const auto found = flights.find(message);
  const std::byte* at = found->second.to.memory.get();
  for (const Piece& piece : pieces) {
    copy(piece.to, at, piece.bytes);
    at += piece.bytes;
  }
  flights.erase(found);
}

size_t bucket_bytes() { return table.bucket_bytes; }

void give_up() {
  const std::lock_guard lock(calls);
  broken |= !flights.empty();
}

void pass_on(const void* from, void* to, size_t bytes, int64_t target, int64_t source) {
  if (bytes == 0) return;
  if (table.size == 1) return target == 0 ? copy(to, from, bytes) : void(std::memset(to, 0, bytes));
  if (bytes > kLargest) fail("ppermute takes arrays of 1 GiB at most.");
  const std::lock_guard lock(calls);
  Message out(bytes), in(bytes);
  std::memcpy(out.memory.get(), from, bytes);
  std::memset(in.memory.get(), 0, bytes);
  const int count = static_cast<int>(bytes);
  const bool sends = target >= 0, receives = source >= 0;
  complete(out, in, static_cast<size_t>(sends) + static_cast<size_t>(receives), [&](size_t i, void* request) {
    if (i == 0 && receives) {
      check(function<Receive>(table.irecv)(in.memory.get(), count, table.bytes, static_cast<int>(source), kTag,
                                           table.communicator, request),
            "Irecv");
    } else {
      check(function<Send>(table.isend)(out.memory.get(), count, table.bytes, static_cast<int>(target), kTag,
                                        table.communicator, request),
            "Isend");
    }
  });
  std::memcpy(to, in.memory.get(), bytes);
}

}  // namespace anesdk::processes
