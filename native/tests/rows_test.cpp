// Whatever the dialect has, the CPU device runs: one program for every row.
#include "anesdk.h"
#include "check.h"
#include "fuzz.h"
#include "op_rows.h"
#include "print.h"

namespace anesdk::test {
namespace {

TEST(every_row_runs_on_the_cpu_device) {
  for (const OpRow& row : kOpRows)
    if (!runs_on_cpu(one_op(row))) report(row.statement, 0, anesdk_last_error());
}

}  // namespace
}  // namespace anesdk::test
