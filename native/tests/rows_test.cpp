// Whatever the dialect has, the CPU device runs: one program for every row.
#include <cstdlib>
#include <cstring>

#include "anesdk.h"
#include "check.h"
#include "fuzz.h"
#include "op_rows.h"
#include "print.h"

namespace anesdk::test {
namespace {

// Without ANEJAX_BLAS there is no LAPACK, and the operations that need it say so.
bool lacks_lapack() {
  const char* blas = std::getenv("ANEJAX_BLAS");
  return (!blas || !*blas) && std::strstr(anesdk_last_error(), "expected a BLAS library with LAPACK's ");
}

TEST(every_row_runs_on_the_cpu_device) {
  for (const OpRow& row : kOpRows)
    if (!runs_on_cpu(one_op(row)) && !lacks_lapack()) report(row.statement, 0, anesdk_last_error());
}

}  // namespace
}  // namespace anesdk::test
