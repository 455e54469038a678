#include "device.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
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

std::vector<uint64_t> parse_indices(std::string_view text, uint64_t limit) {
  std::vector<uint64_t> indices;
  for (const std::string_view part : split(text, ',')) {
    uint64_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    if (error != std::errc() || end != part.data() + part.size() || index >= limit)
      fail_options("expected input indices below " + std::to_string(limit) + ", got '" + std::string(part) + "'");
    indices.push_back(index);
  }
  std::sort(indices.begin(), indices.end());
  if (std::adjacent_find(indices.begin(), indices.end()) != indices.end()) fail_options("an input is donated twice");
  return indices;
}

}  // namespace

CompileOptions parse_options(std::string_view text, uint64_t num_inputs) {
  CompileOptions options;
  bool donate = false;
  for (const std::string_view pair : split(text, ';')) {
    const size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view key = pair.substr(0, equals);
    if (key != "donate" || equals == pair.size())
      fail_options("expected donate=<input indices>, got '" + std::string(pair) + "'");
    if (donate) fail_options("donate is given twice");
    donate = true;
    options.donate = parse_indices(pair.substr(equals + 1), num_inputs);
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
