// FNV-1a (Fowler, Noll and Vo; draft-eastlake-fnv): a digest that tells texts apart, and no protection against malice.
#pragma once

#include <cstdint>
#include <string_view>

namespace anesdk {

inline constexpr uint64_t kDigestBegin = 0xcbf29ce484222325;

inline uint64_t digest(uint64_t state, std::string_view text) {
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return state;
}

}  // namespace anesdk
