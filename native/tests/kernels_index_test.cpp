// Gathers, scatters, sorts, scans and random bits against plain loops.
#include <algorithm>
#include <numeric>

#include "kernels_test_util.h"

namespace anesdk::cpu::test {
namespace {

using Ints = std::vector<int64_t>;

const std::vector<DType> kDtypes{DType::FP32,  DType::FP64,  DType::FP16,  DType::BF16, DType::INT8,
                                 DType::INT32, DType::INT64, DType::UINT8, DType::BOOL};

int64_t flat(const Ints& index, const Shape& shape) {
  int64_t at = 0;
  for (size_t d = 0; d < index.size(); ++d) at = at * shape[d] + index[d];
  return at;
}

bool has(const Ints& list, int64_t entry) { return std::find(list.begin(), list.end(), entry) != list.end(); }

// A random form that gather and scatter share: where index vectors place windows of a tensor.
struct Form {
  Shape tensor, batch, slices;
  Ints sizes, index_map, dropped, batching, along, window_dims;
  std::string mode;
};

Form random_form(Random& random) {
  Form f;
  f.mode = random.pick(std::vector<std::string>{"clip", "fill"});
  const auto rank = static_cast<size_t>(random.integer(1, 4));
  for (int64_t d = random.integer(0, 2); d > 0; --d) f.batch.push_back(random.pick(Ints{0, 1, 2, 5}));
  Shape window;
  for (size_t d = 0; d < rank; ++d) {
    int64_t size = random.integer(1, 6);
    const int64_t role = random.integer(0, 3);
    if (role == 0 && f.along.size() < f.batch.size()) {  // goes along with the next axis of the index vectors
      f.batching.push_back(static_cast<int64_t>(d));
      f.along.push_back(static_cast<int64_t>(f.along.size()));
      size = f.batch[f.along.size() - 1];
      f.sizes.push_back(std::min<int64_t>(size, 1));
    } else if (role == 1) {
      f.dropped.push_back(static_cast<int64_t>(d));
      f.sizes.push_back(1);
    } else {
      f.sizes.push_back(random.coin() ? size : random.integer(0, size));
      window.push_back(f.sizes.back());
    }
    if (!has(f.batching, static_cast<int64_t>(d)) && random.coin()) f.index_map.push_back(static_cast<int64_t>(d));
    f.tensor.push_back(size);
  }
  std::shuffle(f.index_map.begin(), f.index_map.end(), random.engine);
  Ints order(window.size() + f.batch.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random.engine);
  f.window_dims.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(window.size()));
  std::sort(f.window_dims.begin(), f.window_dims.end());
  size_t w = 0, b = 0;
  for (size_t d = 0; d < order.size(); ++d) {
    f.slices.push_back(has(f.window_dims, static_cast<int64_t>(d)) ? window[w++] : f.batch[b++]);
  }
  return f;
}

Tensor random_indices(const Form& f, Random& random) {
  Shape shape = f.batch;
  shape.push_back(static_cast<int64_t>(f.index_map.size()));
  Tensor indices(random.coin() ? DType::INT32 : DType::INT64, shape);
  for (int64_t i = 0; i < indices.elements(); ++i) indices.set(i, static_cast<double>(random.integer(-1, 6)));
  return indices;
}

// Offset in the tensor of element `at` of slices, or -1 when its window lies outside.
int64_t addressed(const Form& f, const Tensor& indices, const Ints& at) {
  Ints batch, window, tensor(f.tensor.size(), 0);
  for (size_t d = 0; d < at.size(); ++d)
    (has(f.window_dims, static_cast<int64_t>(d)) ? window : batch).push_back(at[d]);
  const auto depth = static_cast<int64_t>(f.index_map.size());
  for (int64_t k = 0; k < depth; ++k) {
    const auto axis = static_cast<size_t>(f.index_map[static_cast<size_t>(k)]);
    const auto start = static_cast<int64_t>(indices.get(flat(batch, f.batch) * depth + k));
    const int64_t limit = f.tensor[axis] - f.sizes[axis];
    if ((start < 0 || start > limit) && f.mode == "fill") return -1;
    tensor[axis] = std::clamp<int64_t>(start, 0, limit);
  }
  for (size_t i = 0; i < f.batching.size(); ++i) {
    tensor[static_cast<size_t>(f.batching[i])] = batch[static_cast<size_t>(f.along[i])];
  }
  size_t w = 0;
  for (size_t d = 0; d < f.tensor.size(); ++d) {
    if (!has(f.dropped, static_cast<int64_t>(d)) && !has(f.batching, static_cast<int64_t>(d))) tensor[d] += window[w++];
  }
  return flat(tensor, f.tensor);
}

TEST(kernels_gather) {
  Random random;
  for (int i = 0; i < 600; ++i) {
    const Form f = random_form(random);
    const DType dtype = random.pick(kDtypes);
    const Tensor x = random.tensor(dtype, f.tensor), fill = random.tensor(dtype, {}),
                 indices = random_indices(f, random);
    const Tensor got = OpCase("aj_gather")
                           .ints("collapsed_slice_dims", f.dropped)
                           .tensor("fill", fill)
                           .tensor("indices", indices)
                           .text("mode", f.mode)
                           .ints("offset_dims", f.window_dims)
                           .ints("operand_batching_dims", f.batching)
                           .ints("slice_sizes", f.sizes)
                           .ints("start_index_map", f.index_map)
                           .ints("start_indices_batching_dims", f.along)
                           .tensor("x", x)
                           .result(dtype, f.slices)
                           .run()[0];
    if (product(f.slices) == 0) continue;
    Ints at(f.slices.size(), 0);
    do {
      const int64_t from = addressed(f, indices, at);
      const double want = from < 0 ? fill.get(0) : x.get(from), value = got.get(flat(at, f.slices));
      CHECK_THAT(value == want, "at %s of %s: %g, want %g", list_str(at).c_str(), list_str(f.slices).c_str(), value,
                 want);
    } while (next_index(at, f.slices));
  }
}

TEST(kernels_scatter) {
  Random random;
  const std::vector<std::string> names{"aj_scatter", "aj_scatter_add", "aj_scatter_mul", "aj_scatter_min",
                                       "aj_scatter_max"};
  for (int i = 0; i < 800; ++i) {
    const Form f = random_form(random);
    const auto which = static_cast<size_t>(random.integer(0, 4));
    const DType dtype = random.pick(kDtypes);
    const Tensor x = random.tensor(dtype, f.tensor), updates = random.tensor(dtype, f.slices),
                 indices = random_indices(f, random);
    const Tensor got = OpCase(names[which])
                           .tensor("indices", indices)
                           .ints("inserted_window_dims", f.dropped)
                           .text("mode", f.mode)
                           .ints("operand_batching_dims", f.batching)
                           .ints("scatter_dims_to_operand_dims", f.index_map)
                           .ints("scatter_indices_batching_dims", f.along)
                           .ints("update_window_dims", f.window_dims)
                           .tensor("updates", updates)
                           .tensor("x", x)
                           .result(dtype, f.tensor)
                           .run()[0];
    std::vector<double> want = x.doubles(), scale(want.size());
    std::vector<int> hits(want.size());  // which of several updates is set last is open
    for (size_t j = 0; j < want.size(); ++j) scale[j] = std::abs(want[j]);
    Ints at(f.slices.size(), 0);
    if (product(f.slices) != 0) do {
        const int64_t to = addressed(f, indices, at);
        if (to < 0) continue;
        ++hits[static_cast<size_t>(to)];
        double& old = want[static_cast<size_t>(to)];
        const double value = updates.get(flat(at, f.slices));
        const bool is_bool = dtype == DType::BOOL;
        if (which == 0) old = value;
        if (which == 1) old = is_bool ? std::max(old, value) : old + value;
        if (which == 2) old = is_bool ? std::min(old, value) : old * value;
        if (which == 3) old = std::min(old, value);
        if (which == 4) old = std::max(old, value);
        if (!is_float(dtype) && !is_bool) old = stored(dtype, old);
        scale[static_cast<size_t>(to)] += std::abs(value) + std::abs(old);
      } while (next_index(at, f.slices));
    for (size_t j = 0; j < want.size(); ++j) {
      if (which == 0 && hits[j] > 1) continue;
      const double value = got.get(static_cast<int64_t>(j));
      const double tolerance = 64 * epsilon(DType::FP32) * scale[j] + epsilon(dtype) * std::abs(want[j]);
      CHECK_THAT(std::abs(value - want[j]) <= (is_float(dtype) && which < 3 ? tolerance : 0),
                 "%s element %d: %g, want %g", names[which].c_str(), static_cast<int>(j), value, want[j]);
    }
  }
}

TEST(kernels_mil_gather_scatter) {
  Random random;
  const Tensor x = random.tensor(DType::FP32, {3, 5, 4});
  Tensor indices(DType::INT32, {2, 3});
  const Ints values{0, -1, 4, 2, 2, 1};
  for (int64_t i = 0; i < 6; ++i) indices.set(i, static_cast<double>(values[static_cast<size_t>(i)]));
  const Tensor got = OpCase("gather")
                         .integer("axis", 1)
                         .tensor("indices", indices)
                         .tensor("x", x)
                         .result(DType::FP32, {3, 2, 3, 4})
                         .run()[0];
  for (int64_t a = 0; a < 3; ++a) {
    for (int64_t i = 0; i < 6; ++i) {
      for (int64_t c = 0; c < 4; ++c) {
        const int64_t row = (values[static_cast<size_t>(i)] + 5) % 5;
        CHECK_EQ(got.get((a * 6 + i) * 4 + c), x.get((a * 5 + row) * 4 + c));
      }
    }
  }
  Tensor pairs(DType::INT32, {2, 2});
  for (int64_t i = 0; i < 4; ++i) pairs.set(i, static_cast<double>(Ints{2, 4, 0, -2}[static_cast<size_t>(i)]));
  const Tensor rows = OpCase("gather_nd").tensor("indices", pairs).tensor("x", x).result(DType::FP32, {2, 4}).run()[0];
  for (int64_t c = 0; c < 4; ++c) {
    CHECK_EQ(rows.get(c), x.get((2 * 5 + 4) * 4 + c));
    CHECK_EQ(rows.get(4 + c), x.get(3 * 4 + c));
  }
  const Tensor sums = OpCase("scatter_nd")
                          .tensor("data", x)
                          .tensor("indices", pairs)
                          .text("mode", "sub")
                          .tensor("updates", rows)
                          .result(DType::FP32, x.type.shape)
                          .run()[0];
  for (int64_t i = 0; i < x.elements(); ++i) {
    const int64_t row = i / 4;
    CHECK_EQ(sums.get(i), row == 14 || row == 3 ? 0.0 : x.get(i));
  }
}

// NaN last whatever its sign, zeros equal.
double sort_value(double x) { return std::isnan(x) ? INFINITY : x; }

bool sorts_before(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
  return sort_value(a) < sort_value(b);
}

TEST(kernels_sort) {
  Random random;
  for (int i = 0; i < 300; ++i) {
    Shape shape;
    for (int64_t d = random.integer(1, 3); d > 0; --d) shape.push_back(random.pick(Ints{0, 1, 2, 7, 40}));
    const int64_t axis = random.integer(0, static_cast<int64_t>(shape.size()) - 1), count = random.integer(1, 3),
                  keys = random.integer(1, count);
    std::vector<Tensor> values;
    OpCase op("aj_sort");
    for (int64_t v = 0; v < count; ++v) {
      values.emplace_back(random.pick(kDtypes), shape);
      Tensor& t = values.back();
      for (int64_t j = 0; j < t.elements(); ++j) {
        double x = static_cast<double>(random.integer(
            t.type.dtype == DType::UINT8 || t.type.dtype == DType::BOOL ? 0 : -3, t.type.dtype == DType::BOOL ? 1 : 3));
        if (is_float(t.type.dtype) && random.integer(0, 5) == 0) {
          x = random.pick(std::vector<double>{-0.0, INFINITY, -INFINITY, std::nan(""), -std::nan("")});
        }
        t.set(j, x);
      }
    }
    op.integer("dimension", axis).integer("num_keys", keys).tensors("values", values);
    for (const auto& v : values) op.result(v.type.dtype, shape);
    const auto got = op.run();
    const int64_t n = shape[static_cast<size_t>(axis)],
                  inner = product(std::span(shape).subspan(static_cast<size_t>(axis) + 1));
    for (int64_t line = 0; n > 0 && line < product(shape) / n; ++line) {
      const auto at = [&](int64_t j) { return (line / inner * n + j) * inner + line % inner; };
      Ints order(static_cast<size_t>(n));
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        for (int64_t k = 0; k < keys; ++k) {
          const auto& v = values[static_cast<size_t>(k)];
          if (sorts_before(v.get(at(a)), v.get(at(b)))) return true;
          if (sorts_before(v.get(at(b)), v.get(at(a)))) return false;
        }
        return false;
      });
      for (size_t v = 0; v < values.size(); ++v) {
        for (int64_t j = 0; j < n; ++j) {
          const double want = values[v].get(at(order[static_cast<size_t>(j)])), value = got[v].get(at(j));
          CHECK_THAT(value == want || (std::isnan(value) && std::isnan(want)), "value %d: %g, want %g",
                     static_cast<int>(v), value, want);
        }
      }
    }
  }
}

TEST(kernels_scan) {
  Random random;
  const std::vector<std::string> names{"aj_cumsum", "aj_cumprod",      "aj_cummax",
                                       "aj_cummin", "aj_cumlogsumexp", "cumsum"};
  for (int i = 0; i < 400; ++i) {
    const auto which = static_cast<size_t>(random.integer(0, 5));
    const DType dtype = which == 4 ? random.pick(std::vector<DType>{DType::FP32, DType::FP64, DType::FP16})
                                   : random.pick(std::vector<DType>(kDtypes.begin(), kDtypes.end() - 1));
    Shape shape;
    for (int64_t d = random.integer(1, 3); d > 0; --d) shape.push_back(random.pick(Ints{0, 1, 2, 7, 30}));
    const int64_t axis = random.integer(0, static_cast<int64_t>(shape.size()) - 1);
    const bool reverse = random.coin(), exclusive = which == 5 && random.coin();
    const Tensor x = random.tensor(dtype, shape);
    OpCase op(names[which]);
    op.integer("axis", axis);
    if (which == 5) op.boolean("exclusive", exclusive);
    const Tensor got = op.boolean("reverse", reverse).tensor("x", x).result(dtype, shape).run()[0];
    const int64_t n = shape[static_cast<size_t>(axis)],
                  inner = product(std::span(shape).subspan(static_cast<size_t>(axis) + 1));
    for (int64_t line = 0; n > 0 && line < product(shape) / n; ++line) {
      double running = 0, scale = 0;
      for (int64_t step = 0; step < n; ++step) {
        const int64_t j = (line / inner * n + (reverse ? n - 1 - step : step)) * inner + line % inner;
        const double value = x.get(j), before = running;
        if (step == 0)
          running = value;
        else if (which == 0 || which == 5)
          running += value;
        else if (which == 1)
          running *= value;
        else if (which == 2)
          running = std::max(running, value);
        else if (which == 3)
          running = std::min(running, value);
        else
          running = std::log(std::exp(running) + std::exp(value));
        if (!is_float(dtype)) running = stored(dtype, running);
        scale += std::abs(value) + std::abs(running);
        const double want = exclusive ? before : running;
        const double tolerance =
            is_float(dtype) ? 8 * epsilon(DType::FP32) * scale + epsilon(dtype) * std::abs(want) : 0;
        CHECK_THAT(std::abs(got.get(j) - want) <= tolerance, "%s step %d: %g, want %g", names[which].c_str(),
                   static_cast<int>(step), got.get(j), want);
      }
    }
  }
}

// The known answers of the Random123 distribution.
TEST(kernels_threefry) {
  const std::vector<std::vector<uint32_t>> cases{
      {0, 0, 0, 0, 0x6b200159, 0x99ba4efe},
      {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7},
      {0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0}};
  for (const auto& c : cases) {
    for (const int64_t count : {0, 1, 5, 16, 33, 10000}) {
      for (const bool arrays : {false, true}) {
        std::vector<Tensor> operands;
        for (size_t k = 0; k < 4; ++k) {
          operands.emplace_back(DType::UINT32, arrays || k >= 2 ? Shape{count} : Shape{});
          for (int64_t i = 0; i < operands.back().elements(); ++i) operands.back().set(i, c[k]);
        }
        const auto got = OpCase("aj_threefry2x32")
                             .tensor("k0", operands[0])
                             .tensor("k1", operands[1])
                             .tensor("x0", operands[2])
                             .tensor("x1", operands[3])
                             .result(DType::UINT32, {count})
                             .result(DType::UINT32, {count})
                             .run();
        for (int64_t i = 0; i < count; ++i) {
          CHECK_EQ(got[0].get(i), static_cast<double>(c[4]));
          CHECK_EQ(got[1].get(i), static_cast<double>(c[5]));
        }
      }
    }
  }
}

}  // namespace
}  // namespace anesdk::cpu::test
