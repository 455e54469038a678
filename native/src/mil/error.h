// The one exception type of the library. Its status is what the C border returns.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "anesdk.h"

namespace anesdk::mil {

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what, int32_t status = ANESDK_VERIFY_ERROR)
      : std::runtime_error(what), status_(status) {}
  int32_t status() const { return status_; }

 private:
  int32_t status_;
};

}  // namespace anesdk::mil
