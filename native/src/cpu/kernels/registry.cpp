#include "cpu/kernels/registry.h"

#include <algorithm>

#include "cpu/kernels/entries.h"

namespace anesdk::cpu {

const KernelEntry* find_kernel(std::string_view op_name) {
  static const std::vector<KernelEntry> sorted = [] {
    std::vector<KernelEntry> all;
    for (const auto& room : {conv_entries(), pool_entries(), window_entries(), gather_entries(), scatter_entries(),
                             sort_entries(), scan_entries(), threefry_entries(), fft_entries(), solve_entries(),
                             spectral_entries(), eigen_entries(), process_entries(), affine_entries()}) {
      all.insert(all.end(), room.begin(), room.end());
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.op < b.op; });
    return all;
  }();
  const auto it = std::lower_bound(sorted.begin(), sorted.end(), op_name,
                                   [](const KernelEntry& entry, std::string_view name) { return entry.op < name; });
  return it != sorted.end() && it->op == op_name ? &*it : nullptr;
}

}  // namespace anesdk::cpu
