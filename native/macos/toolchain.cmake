# arm64 macOS from another system: PyPI's ziglang carries clang, libc++ and the symbols of libSystem. No framework is
# needed, as Accelerate and Espresso are opened at run time. zig signs the library ad hoc, which Apple silicon demands.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
find_program(ZIG NAMES python-zig zig REQUIRED)
set(CMAKE_CXX_COMPILER ${ZIG} c++)
set(CMAKE_CXX_COMPILER_TARGET aarch64-macos.14.0)
# What only later systems have is an error, and so are frames too large for a thread of 512 KiB, macOS's default.
set(CMAKE_CXX_FLAGS_INIT "-Werror=unguarded-availability -Werror=frame-larger-than -Wframe-larger-than=65536")
