// The rooms of kernels; registry.cpp joins them.
#pragma once

#include <span>

#include "cpu/kernels/registry.h"

namespace anesdk::cpu {

std::span<const KernelEntry> conv_entries();
std::span<const KernelEntry> window_entries();
std::span<const KernelEntry> pool_entries();
std::span<const KernelEntry> gather_entries();
std::span<const KernelEntry> scatter_entries();
std::span<const KernelEntry> sort_entries();
std::span<const KernelEntry> scan_entries();
std::span<const KernelEntry> threefry_entries();
std::span<const KernelEntry> fft_entries();
std::span<const KernelEntry> solve_entries();
std::span<const KernelEntry> spectral_entries();
std::span<const KernelEntry> eigen_entries();
std::span<const KernelEntry> process_entries();
std::span<const KernelEntry> affine_entries();

}  // namespace anesdk::cpu
