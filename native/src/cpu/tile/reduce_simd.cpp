// Reductions of a contiguous run, and of one run onto another. Sums go through independent vector lanes and blocks, so
// that the error of a long sum grows with the number of blocks, not of elements.
#include "cpu/tile/simd_loops.h"
#include "cpu/tile/unaligned.h"

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

template <class T>
inline constexpr int kLanes = 64 / sizeof(T);
template <class T>
using Vec [[gnu::vector_size(64)]] = T;

template <class T>
inline T bitwise(T a, T b, ReduceOp op) {
  return op == ReduceOp::AND ? T(a & b) : op == ReduceOp::OR ? T(a | b) : T(a ^ b);
}

template <class T, ReduceOp kOp>
struct Step {
  static constexpr bool kFloat = __is_same(T, float) || __is_same(T, double);
  static T identity() {
    if constexpr (kOp == ReduceOp::SUM || kOp == ReduceOp::OR || kOp == ReduceOp::XOR) return T(0);
    if constexpr (kOp == ReduceOp::PROD) return T(1);
    if constexpr (kOp == ReduceOp::AND) return T(-1);
    constexpr bool is_signed = T(-1) < T(0);
    if constexpr (kFloat) return kOp == ReduceOp::MAX ? T(-__builtin_inff()) : T(__builtin_inff());
    constexpr T low = is_signed ? T(uint64_t{1} << (sizeof(T) * 8 - 1)) : T(0);
    return kOp == ReduceOp::MAX ? low : T(~static_cast<uint64_t>(low));
  }
  static T apply(T a, T b) {
    if constexpr (kOp == ReduceOp::SUM) {
      if constexpr (kFloat)
        return a + b;
      else
        return T(uint64_t(a) + uint64_t(b));
    } else if constexpr (kOp == ReduceOp::PROD) {
      if constexpr (kFloat)
        return a * b;
      else
        return T(uint64_t(a) * uint64_t(b));
    } else if constexpr (kOp == ReduceOp::MAX) {
      return a != a ? a : (b > a || b != b ? b : a);
    } else if constexpr (kOp == ReduceOp::MIN) {
      return a != a ? a : (b < a || b != b ? b : a);
    } else {
      if constexpr (!kFloat)
        return bitwise(a, b, kOp);
      else
        return a;
    }
  }
};

// One block of at most 4096 elements, eight runs of lanes side by side.
template <class T, ReduceOp kOp>
T reduce_block(const T* a, int64_t n) {
  using S = Step<T, kOp>;
  constexpr int kWidth = 4 * kLanes<T>;
  T acc[kWidth];
  for (int l = 0; l < kWidth; ++l) acc[l] = S::identity();
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    for (int l = 0; l < kWidth; ++l) acc[l] = S::apply(acc[l], a[i + l]);
  }
  for (int l = 0; i < n; ++i, ++l) acc[l] = S::apply(acc[l], a[i]);
  for (int half = kWidth / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) acc[l] = S::apply(acc[l], acc[l + half]);
  }
  return acc[0];
}

template <ReduceOp kOp>
float vector_sum(const float* a, int64_t n) {
  using V = Vec<float>;
  V acc[4];
  for (V& v : acc) v = V{} + Step<float, kOp>::identity();
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    for (int k = 0; k < 4; ++k) {
      const V x = load<V>(a + i + 16 * k);
      if constexpr (kOp == ReduceOp::SUM)
        acc[k] += x;
      else if constexpr (kOp == ReduceOp::MAX)
        acc[k] = (acc[k] == acc[k]) & ((x > acc[k]) | (x != x)) ? x : acc[k];
      else
        acc[k] = (acc[k] == acc[k]) & ((x < acc[k]) | (x != x)) ? x : acc[k];
    }
  }
  float lanes[64];
  for (int k = 0; k < 4; ++k) {
    for (int l = 0; l < 16; ++l) lanes[16 * k + l] = acc[k][l];
  }
  for (int l = 0; i < n; ++i, ++l) lanes[l] = Step<float, kOp>::apply(lanes[l], a[i]);
  for (int half = 32; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] = Step<float, kOp>::apply(lanes[l], lanes[l + half]);
  }
  return lanes[0];
}

// Too short for lanes to pay. One chain: GCC 12 miscompiles four of them side by side for AVX-512.
template <class T, ReduceOp kOp>
T reduce_short(const T* a, int64_t n) {
  T acc = Step<T, kOp>::identity();
  for (int64_t i = 0; i < n; ++i) acc = Step<T, kOp>::apply(acc, a[i]);
  return acc;
}

template <class T, ReduceOp kOp>
void row(void* out, const void* src, int64_t n) {
  const auto* a = static_cast<const T*>(src);
  if (n < 48) {
    *static_cast<T*>(out) = reduce_short<T, kOp>(a, n);
    return;
  }
  T total = Step<T, kOp>::identity();
  for (int64_t begin = 0; begin < n; begin += 4096) {
    const int64_t count = n - begin < 4096 ? n - begin : 4096;
    T part;
    if constexpr (__is_same(T, float) && kOp != ReduceOp::PROD) {
      part = vector_sum<kOp>(a + begin, count);
    } else {
      part = reduce_block<T, kOp>(a + begin, count);
    }
    total = begin == 0 ? part : Step<T, kOp>::apply(total, part);
  }
  *static_cast<T*>(out) = total;
}

template <class T, ReduceOp kOp>
void column(void* acc, const void* src, int64_t n) {
  auto* o = static_cast<T*>(acc);
  const auto* a = static_cast<const T*>(src);
  ANESDK_IVDEP
  for (int64_t i = 0; i < n; ++i) o[i] = Step<T, kOp>::apply(o[i], a[i]);
}

template <class T>
ReduceRowFn row_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::SUM:
      return row<T, ReduceOp::SUM>;
    case ReduceOp::PROD:
      return row<T, ReduceOp::PROD>;
    case ReduceOp::MAX:
      return row<T, ReduceOp::MAX>;
    case ReduceOp::MIN:
      return row<T, ReduceOp::MIN>;
    default:
      break;
  }
  if constexpr (!Step<T, ReduceOp::SUM>::kFloat) {
    switch (op) {
      case ReduceOp::AND:
        return row<T, ReduceOp::AND>;
      case ReduceOp::OR:
        return row<T, ReduceOp::OR>;
      case ReduceOp::XOR:
        return row<T, ReduceOp::XOR>;
      default:
        break;
    }
  }
  return nullptr;
}

template <class T>
ReduceColumnFn column_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::SUM:
      return column<T, ReduceOp::SUM>;
    case ReduceOp::PROD:
      return column<T, ReduceOp::PROD>;
    case ReduceOp::MAX:
      return column<T, ReduceOp::MAX>;
    case ReduceOp::MIN:
      return column<T, ReduceOp::MIN>;
    default:
      break;
  }
  if constexpr (!Step<T, ReduceOp::SUM>::kFloat) {
    switch (op) {
      case ReduceOp::AND:
        return column<T, ReduceOp::AND>;
      case ReduceOp::OR:
        return column<T, ReduceOp::OR>;
      case ReduceOp::XOR:
        return column<T, ReduceOp::XOR>;
      default:
        break;
    }
  }
  return nullptr;
}

// Sums of bools are "or", products "and".
ReduceOp bool_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::SUM:
    case ReduceOp::MAX:
      return ReduceOp::OR;
    case ReduceOp::PROD:
    case ReduceOp::MIN:
      return ReduceOp::AND;
    default:
      return op;
  }
}

#define ANESDK_BY_TYPE(call)     \
  switch (dtype) {               \
    case DType::INT8:            \
      return call<int8_t>(op);   \
    case DType::INT16:           \
      return call<int16_t>(op);  \
    case DType::INT32:           \
      return call<int32_t>(op);  \
    case DType::INT64:           \
      return call<int64_t>(op);  \
    case DType::UINT8:           \
      return call<uint8_t>(op);  \
    case DType::UINT16:          \
      return call<uint16_t>(op); \
    case DType::UINT32:          \
      return call<uint32_t>(op); \
    case DType::UINT64:          \
      return call<uint64_t>(op); \
    case DType::FP32:            \
      return call<float>(op);    \
    case DType::FP64:            \
      return call<double>(op);   \
    default:                     \
      return nullptr;            \
  }

template <class T>
void plane(void* dst, int64_t dst_row, int64_t dst_column, const void* src, int64_t src_row, int64_t src_column,
           int64_t rows, int64_t columns) {
  auto* d = static_cast<T*>(dst);
  const auto* s = static_cast<const T*>(src);
  if (dst_column == 1 && src_column == 1) {
    for (int64_t r = 0; r < rows; ++r) __builtin_memcpy(d + r * dst_row, s + r * src_row, size_t(columns) * sizeof(T));
  } else if (dst_column == 1 && src_column == 0) {
    for (int64_t r = 0; r < rows; ++r) {
      const T value = s[r * src_row];
      for (int64_t c = 0; c < columns; ++c) d[r * dst_row + c] = value;
    }
  } else if (dst_column == 1 && src_row == 1) {
    // a transposition: tiles that keep both sides in L1
    constexpr int64_t kTile = 16;
    for (int64_t c0 = 0; c0 < columns; c0 += 64) {
      const int64_t c1 = c0 + 64 < columns ? c0 + 64 : columns;
      for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
        const int64_t r1 = r0 + kTile < rows ? r0 + kTile : rows;
        for (int64_t r = r0; r < r1; ++r) {
          for (int64_t c = c0; c < c1; ++c) d[r * dst_row + c] = s[r + c * src_column];
        }
      }
    }
  } else {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) d[r * dst_row + c * dst_column] = s[r * src_row + c * src_column];
    }
  }
}

}  // namespace

ReduceRowFn reduce_row(ReduceOp op, DType dtype) {
  if (dtype == DType::BOOL) return row_of<uint8_t>(bool_op(op));
  ANESDK_BY_TYPE(row_of)
}

ReduceColumnFn reduce_column(ReduceOp op, DType dtype) {
  if (dtype == DType::BOOL) return column_of<uint8_t>(bool_op(op));
  ANESDK_BY_TYPE(column_of)
}

CopyPlaneFn copy_plane(int64_t element_size) {
  switch (element_size) {
    case 1:
      return plane<uint8_t>;
    case 2:
      return plane<uint16_t>;
    case 4:
      return plane<uint32_t>;
    case 8:
      return plane<uint64_t>;
    default:
      return nullptr;
  }
}

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
