# zig's linker takes no list of exports (ziglang/zig issue 24662), but what is hidden stays hidden. zig's libc++ is, except
# for operator new and delete, which a program may replace: the same source, compiled to hidden symbols, precedes it.
execute_process(COMMAND ${ZIG} env OUTPUT_VARIABLE ZIG_ENV COMMAND_ERROR_IS_FATAL ANY)
if(NOT ZIG_ENV MATCHES "lib_dir\"?[ =:]+\"([^\"]+)\"")
  message(FATAL_ERROR "`zig env` names no lib_dir: ${ZIG_ENV}")
endif()
set(ZIG_LIB ${CMAKE_MATCH_1})
add_library(anesdk_new OBJECT ${ZIG_LIB}/libcxxabi/src/stdlib_new_delete.cpp)
target_include_directories(anesdk_new PRIVATE ${ZIG_LIB}/libcxxabi/include ${ZIG_LIB}/libcxxabi/src ${ZIG_LIB}/libcxx/src)
target_compile_definitions(anesdk_new PRIVATE _LIBCPP_BUILDING_LIBRARY)
target_compile_options(anesdk_new PRIVATE -std=c++20 -fvisibility=hidden -fvisibility-global-new-delete=force-hidden)
target_sources(anesdk PRIVATE $<TARGET_OBJECTS:anesdk_new>)
