#include "device.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <set>
#include <string>

namespace anesdk {

std::span<const anesdk_device_vtable* const> devices() {
  static const std::array table = {
#ifdef ANESDK_HAS_CPU
      anesdk_cpu_device(),
      anesdk_cpu_fp16_device(),
#endif
      anesdk_ane_device(),
      anesdk_null_device(),
  };
  return table;
}

namespace {

[[noreturn]] void fail_options(const std::string& what) {
  throw mil::Error("[compile] options: " + what, ANESDK_INVALID_ARGUMENT);
}

// Splits at `separator`; an empty text has no parts.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// A whole number below `limit`.
uint64_t parse_number(std::string_view text, uint64_t limit, const char* what) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number >= limit)
    fail_options("expected " + std::string(what) + " below " + std::to_string(limit) + ", got '" + std::string(text) +
                 "'");
  return number;
}

std::vector<uint64_t> sorted(std::vector<uint64_t> indices, const char* if_twice) {
  std::sort(indices.begin(), indices.end());
  if (std::adjacent_find(indices.begin(), indices.end()) != indices.end()) fail_options(if_twice);
  return indices;
}

std::vector<uint64_t> parse_indices(std::string_view text, uint64_t limit) {
  std::vector<uint64_t> indices;
  for (const std::string_view part : split(text, ',')) indices.push_back(parse_number(part, limit, "input indices"));
  return sorted(std::move(indices), "an input is donated twice");
}

std::vector<std::pair<uint64_t, uint64_t>> parse_pairs(std::string_view text, uint64_t inputs, uint64_t outputs) {
  std::vector<std::pair<uint64_t, uint64_t>> pairs;
  std::vector<uint64_t> first, second;
  for (const std::string_view part : split(text, ',')) {
    const size_t colon = std::min(part.find(':'), part.size());
    first.push_back(parse_number(part.substr(0, colon), inputs, "input indices"));
    second.push_back(parse_number(part.substr(std::min(colon + 1, part.size())), outputs, "output indices"));
    pairs.emplace_back(first.back(), second.back());
  }
  sorted(std::move(first), "an input shares a buffer twice");
  sorted(std::move(second), "an output shares a buffer twice");
  return pairs;
}

}  // namespace

CompileOptions parse_options(std::string_view text, uint64_t num_inputs, uint64_t num_outputs) {
  constexpr uint64_t kMostMilliseconds = 1'000'000'000;
  CompileOptions options;
  const std::map<std::string_view, uint64_t*> times = {
      {"backoff", &options.backoff}, {"compile_limit", &options.compile_limit}, {"run_limit", &options.run_limit}};
  std::set<std::string_view> seen;
  for (const std::string_view pair : split(text, ';')) {
    const size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view key = pair.substr(0, equals), value = pair.substr(std::min(equals + 1, pair.size()));
    if (equals == pair.size() || (key != "donate" && key != "share" && !times.count(key)))
      fail_options("expected donate=<input indices>, share=<input>:<output>,... or <limit>=<milliseconds>, got '" +
                   std::string(pair) + "'");
    if (!seen.insert(key).second) fail_options(std::string(key) + " is given twice");
    if (key == "donate")
      options.donate = parse_indices(value, num_inputs);
    else if (key == "share")
      options.share = parse_pairs(value, num_inputs, num_outputs);
    else
      *times.at(key) = parse_number(value, kMostMilliseconds, "milliseconds");
  }
  return options;
}

anesdk_port make_port(const mil::Type& type, int64_t alias) {
  anesdk_port port{};
  port.dtype = static_cast<int32_t>(type.dtype);
  port.rank = static_cast<int32_t>(type.shape.size());
  std::copy(type.shape.begin(), type.shape.end(), port.shape);
  port.nbytes = type.nbytes();
  port.alias = alias;
  return port;
}

int32_t write_text(std::string_view text, char* out, uint64_t capacity, uint64_t* needed) {
  if (needed) *needed = text.size() + 1;
  if (capacity == 0) return ANESDK_OK;
  const size_t count = std::min<size_t>(text.size(), capacity - 1);
  std::memcpy(out, text.data(), count);
  out[count] = '\0';
  return ANESDK_OK;
}

}  // namespace anesdk
