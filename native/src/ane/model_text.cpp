#include "ane/model_text.h"

#include <cstring>

#include "mil/print.h"

namespace anesdk::ane {
namespace {

constexpr uint64_t kMaxWeightBytes = 1'600'000'000;  // 1.5 GB was seen to compile, 3.4 GB to fail
constexpr int64_t kMaxInlineElements = 64;           // longer lists go to the weight file, as the known emitters do
constexpr size_t kMaxInlineRank = 1;                 // no list of a matrix's elements was seen to compile
constexpr size_t kAlignment = 64;                    // of descriptors and payloads
constexpr uint32_t kVersion = 2;
constexpr uint32_t kMagic = 0xDEADBEEF;

// The weight file's code of a dtype; 0 when it has none.
uint32_t blob_code(mil::DType dtype) {
  switch (dtype) {
    case mil::DType::FP16:
      return 1;
    case mil::DType::FP32:
      return 2;
    case mil::DType::INT8:
      return 4;
    default:
      return 0;
  }
}

// Little endian: a header of 64 bytes, then a descriptor of 64 bytes and its payload for each constant.
class WeightFile {
 public:
  uint64_t add(const mil::Value& value) {
    if (bytes_.empty()) bytes_.resize(kAlignment);
    const uint64_t descriptor = bytes_.size();
    const std::vector<std::byte>& data = value.constant->data;
    if (data.size() > kMaxWeightBytes || descriptor + data.size() > kMaxWeightBytes)
      throw mil::Error("[ane] a program holds at most 1.6 GB of constants; make the large ones inputs",
                       ANESDK_UNSUPPORTED);
    const uint64_t payload = descriptor + kAlignment;
    bytes_.resize((payload + data.size() + kAlignment - 1) / kAlignment * kAlignment);
    put<uint32_t>(descriptor, kMagic);
    put<uint32_t>(descriptor + 4, blob_code(value.type.dtype));
    put<uint64_t>(descriptor + 8, data.size());
    put<uint64_t>(descriptor + 16, payload);
    std::memcpy(bytes_.data() + payload, data.data(), data.size());
    ++count_;
    return descriptor;
  }

  std::string take() {
    if (!bytes_.empty()) {
      put<uint32_t>(0, count_);
      put<uint32_t>(4, kVersion);
    }
    return std::move(bytes_);
  }

 private:
  template <class T>
  void put(size_t at, T value) {
    for (size_t i = 0; i < sizeof(T); ++i) bytes_[at + i] = static_cast<char>(value >> (8 * i) & 0xFF);
  }

  std::string bytes_;
  uint32_t count_ = 0;
};

}  // namespace

ModelText model_text(const mil::Program& program) {
  WeightFile weights;
  ModelText text;
  text.mil = mil::print(program, [&](const mil::Value& value) -> std::string {
    if (value.constant->blob)
      throw mil::Error(
          "[ane] " + value.name + " is a BLOBFILE, which the engine device does not read: make it an input",
          ANESDK_UNSUPPORTED);
    const bool short_list = value.type.elements() <= kMaxInlineElements && value.type.shape.size() <= kMaxInlineRank;
    if (short_list || blob_code(value.type.dtype) == 0) return "";
    return "(BLOBFILE(path = string(\"@model_path/weights.bin\"), offset = uint64(" +
           std::to_string(weights.add(value)) + ")))";
  });
  text.weights = weights.take();
  return text;
}

}  // namespace anesdk::ane
