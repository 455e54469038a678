# arm64 Linux with the instructions of Apple's M1, from another system: what NEON, alignment and denormals do there is
# executed by qemu-user. Debian's packages: clang-16 lld-16 g++-aarch64-linux-gnu qemu-user-static (`make test-arm`).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER clang++-16)
set(CMAKE_CXX_COMPILER_TARGET aarch64-linux-gnu)
set(CMAKE_CXX_FLAGS_INIT "-mcpu=apple-m1")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-fuse-ld=lld-16")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-fuse-ld=lld-16")
# M1 has no SVE, and OpenBLAS's products for it are wrong under qemu 7.2.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu max,sve=off)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
