// The vector loops of windows.h, compiled once per instruction set.
#include <bit>
#include <limits>

#include "cpu/kernels/numeric.h"
#include "cpu/kernels/windows.h"

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

template <WindowOp op, typename T>
constexpr T identity() {
  using Limits = std::numeric_limits<T>;
  if constexpr (op == WindowOp::SUM) return T{};
  if constexpr (op == WindowOp::MAX) return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  if constexpr (op == WindowOp::MIN) return Limits::has_infinity ? Limits::infinity() : Limits::max();
}

template <WindowOp op, typename T>
inline T combine(T a, T b) {
  if constexpr (op == WindowOp::SUM) return wrapping_add(a, b);
  if constexpr (op == WindowOp::MAX) return max_of(a, b);
  if constexpr (op == WindowOp::MIN) return min_of(a, b);
}

// The element that place t of the window at position j meets, or -1.
int64_t element_at(const WindowAxis& axis, int64_t j, int64_t t) {
  const int64_t place = j * axis.stride + t * axis.window_dilation - axis.pad_low;
  if (place < 0 || place % axis.base_dilation != 0) return -1;
  const int64_t element = place / axis.base_dilation;
  return element < axis.in ? element : -1;
}

template <WindowOp op, typename T>
void outer_axis(const WindowAxis& axis, int64_t outer, int64_t inner, const T* in, T* __restrict out) {
  for (int64_t o = 0; o < outer; ++o, in += axis.in * inner) {
    for (int64_t j = 0; j < axis.out; ++j, out += inner) {
      bool first = true;
      for (int64_t t = 0; t < axis.window; ++t) {
        const int64_t element = element_at(axis, j, t);
        if (element < 0) continue;
        const T* from = in + element * inner;
        if (first) {
          for (int64_t i = 0; i < inner; ++i) out[i] = from[i];
        } else {
          for (int64_t i = 0; i < inner; ++i) out[i] = combine<op>(out[i], from[i]);
        }
        first = false;
      }
      for (int64_t i = 0; first && i < inner; ++i) out[i] = identity<op, T>();
    }
  }
}

// out[j] = out[j] op in[j * stride]. A stride known at compile time becomes shuffles instead of single loads.
template <WindowOp op, int Stride, typename T>
void combine_strided(int64_t count, int64_t stride, const T* in, T* __restrict out) {
  const int64_t step = Stride ? Stride : stride;
  for (int64_t j = 0; j < count; ++j) out[j] = combine<op>(out[j], in[j * step]);
}

// The positions where place `shift` of the window lies inside: a range, as there is no base dilation.
struct Range {
  int64_t begin, end;
};
Range inside(const WindowAxis& axis, int64_t shift) {
  const int64_t begin = shift >= 0 ? 0 : std::min((-shift + axis.stride - 1) / axis.stride, axis.out);
  const int64_t end = axis.in <= shift ? 0 : std::min((axis.in - shift + axis.stride - 1) / axis.stride, axis.out);
  return {begin, std::max(begin, end)};
}

// Stride 1 and a base dilation (the gradient of an average): every element goes to one position.
template <WindowOp op, typename T>
void spread(const WindowAxis& axis, int64_t shift, const T* in, T* __restrict out) {
  const int64_t base = axis.base_dilation;
  const int64_t begin = shift <= 0 ? 0 : (shift + base - 1) / base;
  const int64_t end = std::min(axis.in, (std::max<int64_t>(axis.out + shift, 0) + base - 1) / base);
  for (int64_t e = begin; e < end; ++e) out[e * base - shift] = combine<op>(out[e * base - shift], in[e]);
}

template <WindowOp op, typename T>
void last_axis(const WindowAxis& given, int64_t outer, const T* in, T* __restrict out) {
  WindowAxis axis = given;
  if (axis.tiles()) {  // windows that fill their rows: all rows are one
    axis.in *= outer, axis.out *= outer;
    outer = 1;
  }
  for (int64_t o = 0; o < outer; ++o, in += axis.in, out += axis.out) {
    if (axis.out == 1 && axis.base_dilation == 1 && axis.window_dilation == 1) {  // the whole row, or one run of it
      T total = identity<op, T>();
      for (int64_t i = axis.begin(0); i < axis.end(0); ++i) total = combine<op>(total, in[i]);
      *out = total;
      continue;
    }
    for (int64_t j = 0; j < axis.out; ++j) out[j] = identity<op, T>();
    for (int64_t t = 0; t < axis.window; ++t) {
      const int64_t shift = t * axis.window_dilation - axis.pad_low;
      if (axis.base_dilation == 1) {
        const Range range = inside(axis, shift);
        if (range.begin >= range.end) continue;
        const auto loop = axis.stride == 1   ? combine_strided<op, 1, T>
                          : axis.stride == 2 ? combine_strided<op, 2, T>
                                             : combine_strided<op, 0, T>;
        loop(range.end - range.begin, axis.stride, in + (range.begin * axis.stride + shift), out + range.begin);
        continue;
      }
      if (axis.stride == 1) {
        spread<op>(axis, shift, in, out);
        continue;
      }
      for (int64_t j = 0; j < axis.out; ++j) {
        const int64_t element = element_at(axis, j, t);
        if (element >= 0) out[j] = combine<op>(out[j], in[element]);
      }
    }
  }
}

template <size_t size>
struct BitsOf;
template <>
struct BitsOf<1> {
  using type = uint8_t;
};
template <>
struct BitsOf<2> {
  using type = uint16_t;
};
template <>
struct BitsOf<4> {
  using type = uint32_t;
};
template <>
struct BitsOf<8> {
  using type = uint64_t;
};
template <typename T>
using Bits = typename BitsOf<sizeof(T)>::type;

// All ones where a stays ahead of b, else 0: choices by masks, which the compiler keeps free of branches.
template <bool greatest, typename T>
inline Bits<T> stays(T a, T b) {
  return static_cast<Bits<T>>(-static_cast<Bits<T>>(greatest ? a >= b : a <= b));
}

template <typename T>
inline T masked(T x, Bits<T> mask) {
  return std::bit_cast<T>(static_cast<Bits<T>>(std::bit_cast<Bits<T>>(x) & mask));
}

template <typename T>
inline T chosen(Bits<T> mask, T a, T b) {
  return std::bit_cast<T>(
      static_cast<Bits<T>>((std::bit_cast<Bits<T>>(a) & mask) | (std::bit_cast<Bits<T>>(b) & ~mask)));
}

template <bool greatest, int Stride, typename T>
void challenge(int64_t count, int64_t stride, const T* in, int32_t offset, T* __restrict value,
               int32_t* __restrict best) {
  const int64_t step = Stride ? Stride : stride;
  for (int64_t j = 0; j < count; ++j) {
    const T old = value[j], other = in[j * step];
    const Bits<T> mask = stays<greatest>(old, other);
    const int32_t best_mask = -static_cast<int32_t>(mask & 1);
    value[j] = chosen(mask, old, other);
    best[j] = (best[j] & best_mask) | ((offset + static_cast<int32_t>(j * step)) & ~best_mask);
  }
}

template <bool greatest, typename T>
int32_t winner(const WindowAxis& columns, int64_t row_begin, int64_t row_end, int64_t j, const T* operand) {
  const int64_t begin = columns.begin(j), end = columns.end(j);
  if (row_begin >= row_end || begin >= end) return -1;
  int64_t best = row_begin * columns.in + begin;
  for (int64_t r = row_begin; r < row_end; ++r) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t other = r * columns.in + k;
      const bool keeps = greatest ? operand[best] >= operand[other] : operand[best] <= operand[other];
      if (!keeps) best = other;
    }
  }
  return static_cast<int32_t>(best);
}

template <bool greatest, typename T>
void find_winners(const WindowAxis& rows, const WindowAxis& columns, const T* operand, T* value, int32_t* best) {
  // The windows that lie wholly inside, in columns: vectors. The others, at the ends: one by one.
  const Range first = inside(columns, -columns.pad_low);
  const Range last = inside(columns, columns.window - 1 - columns.pad_low);
  const int64_t stride = columns.stride;
  const auto loop = stride == 1   ? challenge<greatest, 1, T>
                    : stride == 2 ? challenge<greatest, 2, T>
                                  : challenge<greatest, 0, T>;
  for (int64_t i = 0; i < rows.out; ++i, best += columns.out) {
    const int64_t row_begin = rows.begin(i), row_end = rows.end(i);
    const int64_t begin = std::max(first.begin, last.begin);
    const int64_t end = row_begin < row_end ? std::max(begin, std::min(first.end, last.end)) : begin;
    for (int64_t j = 0; j < begin; ++j) best[j] = winner<greatest>(columns, row_begin, row_end, j, operand);
    for (int64_t j = end; j < columns.out; ++j) best[j] = winner<greatest>(columns, row_begin, row_end, j, operand);
    for (int64_t r = row_begin; r < row_end && begin < end; ++r) {
      for (int64_t k = 0; k < columns.window; ++k) {
        const int64_t offset = r * columns.in + begin * stride - columns.pad_low + k;
        if (r == row_begin && k == 0) {
          for (int64_t j = begin; j < end; ++j) {
            best[j] = static_cast<int32_t>(offset + (j - begin) * stride);
            value[j] = operand[best[j]];
          }
        } else {
          loop(end - begin, stride, operand + offset, static_cast<int32_t>(offset), value + begin, best + begin);
        }
      }
    }
  }
}

template <bool greatest, typename T>
void scatter_pairs(int64_t rows, int64_t columns, const T* operand, const T* source, T* __restrict out) {
  for (int64_t i = 0; i < rows; ++i, operand += 4 * columns, source += columns, out += 4 * columns) {
    const T* below = operand + 2 * columns;
    T* __restrict out_below = out + 2 * columns;
    for (int64_t j = 0; j < columns; ++j) {
      const T a = operand[2 * j], b = operand[2 * j + 1], c = below[2 * j], d = below[2 * j + 1], x = source[j];
      const Bits<T> first = stays<greatest>(a, b);
      const T top = chosen(first, a, b);
      const Bits<T> second = stays<greatest>(top, c);
      const T three = chosen(second, top, c);
      const Bits<T> third = stays<greatest>(three, d);
      const Bits<T> upper = second & third;
      out[2 * j] = masked(x, upper & first);
      out[2 * j + 1] = masked(x, upper & static_cast<Bits<T>>(~first));
      out_below[2 * j] = masked(x, third & static_cast<Bits<T>>(~second));
      out_below[2 * j + 1] = masked(x, static_cast<Bits<T>>(~third));
    }
  }
}

}  // namespace

template <typename T>
WindowLoops<T> window_loops(WindowOp op) {
  switch (op) {
    case WindowOp::SUM:
      return {outer_axis<WindowOp::SUM, T>, last_axis<WindowOp::SUM, T>};
    case WindowOp::MAX:
      return {outer_axis<WindowOp::MAX, T>, last_axis<WindowOp::MAX, T>};
    case WindowOp::MIN:
      break;
  }
  return {outer_axis<WindowOp::MIN, T>, last_axis<WindowOp::MIN, T>};
}

template <typename T>
WinnersFn<T> winners(bool greatest) {
  return greatest ? find_winners<true, T> : find_winners<false, T>;
}

template <typename T>
ScatterPairsFn<T> pair_scatter(bool greatest) {
  return greatest ? scatter_pairs<true, T> : scatter_pairs<false, T>;
}

#define ANESDK_INSTANTIATE(T)                           \
  template WindowLoops<T> window_loops<T>(WindowOp op); \
  template WinnersFn<T> winners<T>(bool greatest);      \
  template ScatterPairsFn<T> pair_scatter<T>(bool greatest);
ANESDK_WINDOW_TYPES(ANESDK_INSTANTIATE)
#undef ANESDK_INSTANTIATE

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
