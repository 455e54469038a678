// A convolution of any form in one normal form: three spatial axes (missing ones have size 1) and element strides
// that carry every permutation of the dimensions, the flip of a transposed convolution, and the groups:
//   out[g, b, o, p] = sum over f, t of lhs[g, b, f, p * stride + t * rhs_dilation - pad_low] * rhs[g, o, f, t],
// where the lhs is dilated (zeros between its elements) and read as zero outside.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "mil/program.h"

namespace anesdk::cpu {

inline constexpr size_t kConvAxes = 3;
using Triple = std::array<int64_t, kConvAxes>;

struct ConvAxis {
  int64_t in = 1, kernel = 1, out = 1;
  int64_t stride = 1, pad_low = 0, lhs_dilation = 1, rhs_dilation = 1;
};

struct ConvShape {
  int64_t groups = 1;
  int64_t batch = 1, features = 1, outputs = 1;  // of one group
  std::array<ConvAxis, kConvAxes> axes;

  struct Lhs {
    int64_t group = 0, batch = 0, feature = 0;
    Triple spatial{};
  } lhs;
  struct Rhs {
    int64_t base = 0, group = 0, output = 0, feature = 0;
    Triple spatial{};
  } rhs;
  struct Out {
    int64_t group = 0, batch = 0, feature = 0;
    Triple spatial{};
  } out;

  int64_t positions() const { return axes[0].out * axes[1].out * axes[2].out; }
  int64_t kernel_size() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel; }
  bool dilates_lhs() const { return axes[0].lhs_dilation > 1 || axes[1].lhs_dilation > 1 || axes[2].lhs_dilation > 1; }
};

// Parse the const operands and check the shapes; throw mil::Error.
ConvShape parse_conv_general_dilated(const mil::Function& function, const mil::Op& op);
ConvShape parse_mil_conv(const mil::Function& function, const mil::Op& op);
ConvShape parse_mil_conv_transpose(const mil::Function& function, const mil::Op& op);

}  // namespace anesdk::cpu
