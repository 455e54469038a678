// Numbers as MIL writes them, to the bytes of an element.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "mil/program.h"

namespace anesdk::mil {

// Writes size_of(dtype) bytes. Returns what is wrong with the text, or "".
std::string encode_number(std::string_view text, DType dtype, std::byte* out);

// The value of one stored element of a float dtype.
double decode_real(DType dtype, const std::byte* data);
// The value of one stored element of an integer or bool dtype. A uint64 above INT64_MAX keeps its bits.
int64_t decode_integer(DType dtype, const std::byte* data);

bool is_float(DType dtype);
bool is_signed(DType dtype);
bool is_unsigned(DType dtype);
inline bool is_integer(DType dtype) { return is_signed(dtype) || is_unsigned(dtype); }

}  // namespace anesdk::mil
