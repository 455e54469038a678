#include "cpu/tile/numerics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>

#include "anesdk.h"
#include "cpu/tile/simd.h"

namespace anesdk::cpu {
namespace {

void count(std::atomic<int64_t>* counter, int64_t more) {
  if (more != 0) counter->fetch_add(more, std::memory_order_relaxed);
}

void round_half(const float* src, float* dst, int64_t count) {
  static const MapFn round = simd().map(MapOp::ROUND_FP16, DType::FP32, 0);
  const void* sources[] = {src};
  round(dst, sources, count, 0);
}

// One of a few elements that are not all within the limit.
float settle_one(Site* site, float value, bool from_finite, float* largest) {
  if (std::isnan(value)) {
    count(&site->nan, 1);
    if (from_finite) {
      count(&site->nan_of_finite, 1);
      site->flags->fetch_or(ANESDK_NOT_FINITE, std::memory_order_relaxed);
    }
    return site->input ? INFINITY : 0.0f;
  }
  const bool finite = std::isfinite(value);
  if (finite) *largest = std::max(*largest, std::fabs(value));
  if (std::fabs(value) < site->limit) return value;
  if (finite || from_finite) {
    count(&site->overflowed, 1);
    site->flags->fetch_or(finite ? ANESDK_OVERFLOWED : ANESDK_NOT_FINITE, std::memory_order_relaxed);
  }
  return std::copysign(INFINITY, value);
}

// Operands are read before the elements of a chunk are written.
void settle_with_care(Site* site, const float* src, float* dst, int64_t elements, std::span<const Operand> operands) {
  constexpr int64_t kChunk = 64;
  float chunk[kChunk], largest = 0;
  for (int64_t begin = 0; begin < elements; begin += kChunk) {
    const int64_t size = std::min(kChunk, elements - begin);
    for (int64_t i = 0; i < size; ++i) {
      const bool from_finite =
          !operands.empty() && std::all_of(operands.begin(), operands.end(),
                                           [&](const Operand& o) { return std::isfinite(o.at(begin + i)); });
      chunk[i] = settle_one(site, src[begin + i], from_finite, &largest);
    }
    round_half(chunk, dst + begin, size);
  }
  raise(&site->largest, largest);
}

std::string text_of(float value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
  return text;
}

std::string field(const char* name, int64_t value) {
  return std::string(", \"") + name + "\": " + std::to_string(value);
}

}  // namespace

void raise(std::atomic<float>* most, float value) {
  float known = most->load(std::memory_order_relaxed);
  while (value > known && !most->compare_exchange_weak(known, value, std::memory_order_relaxed)) {
  }
}

void settle(Site* site, const float* src, float* dst, int64_t elements, std::span<const Operand> operands) {
  Inspection found;
  simd().inspect_fp16(src, elements, &found);
  if (!site->input) {
    count(&site->underflowed, found.tiny);
    count(&site->zeroed, found.gone);
  }
  if (found.worst >= std::bit_cast<int32_t>(site->limit)) return settle_with_care(site, src, dst, elements, operands);
  raise(&site->largest, std::bit_cast<float>(found.worst));
  round_half(src, dst, elements);
}

Site* Numerics::add(std::string name, std::string operation, int64_t elements) {
  Site& site = sites_.emplace_back();
  site.name = std::move(name);
  site.operation = std::move(operation);
  site.elements = elements;
  site.flags = &flags_;
  return &site;
}

// Names are MIL's identifiers, so nothing has to be escaped.
std::string Numerics::json() const {
  std::string out = "{\"runs\": " + std::to_string(runs_.load()) + ", \"operations\": [";
  for (const Site& site : sites_) {
    if (&site != &sites_.front()) out += ", ";
    out += "{\"name\": \"" + site.name + "\", \"operation\": \"" + site.operation + "\"" +
           field("elements", site.elements) + ", \"largest\": " + text_of(site.largest) +
           field("overflowed", site.overflowed) + field("underflowed", site.underflowed) +
           field("zeroed", site.zeroed) + field("nan", site.nan) + field("nan_of_finite", site.nan_of_finite) +
           (site.narrow ? ", \"sum_error\": " + text_of(site.sum_error) : "") + "}";
  }
  return out + "]}";
}

}  // namespace anesdk::cpu
