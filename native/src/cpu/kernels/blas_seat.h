// A place in the BLAS library for one call. OpenBLAS keeps a work buffer for each call under way at the same time, and
// ends the process where it cannot have another one (blas_memory_alloc in driver/others/memory.c of OpenBLAS).
#pragma once

namespace anesdk::cpu {

class BlasSeat {
 public:
  BlasSeat();
  ~BlasSeat();
  BlasSeat(const BlasSeat&) = delete;
  BlasSeat& operator=(const BlasSeat&) = delete;

  bool granted() const { return granted_; }  // false: the library must not be called now
  void require() const;                      // throws std::bad_alloc then

  // The library was called once, so the buffer of the first place exists.
  static void warmed();

 private:
  bool granted_;
};

}  // namespace anesdk::cpu
