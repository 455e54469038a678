#include "print.h"

#include <algorithm>
#include <cctype>

#include "op_rows.h"

namespace anesdk::test {
namespace {

// fp32[2,3] -> tensor<fp32, [2,3]>, and with `lists` {1,2} -> tensor<int32, [2]>([1,2]).
std::string expand(std::string_view text, bool lists = true) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool after_word = i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1]));
    if (text[i] == '[' && after_word) {
      size_t word = out.size();
      while (word > 0 && std::isalnum(static_cast<unsigned char>(out[word - 1]))) --word;
      const size_t end = text.find(']', i);
      out = out.substr(0, word) + "tensor<" + out.substr(word) + ", " + std::string(text.substr(i, end + 1 - i)) + ">";
      i = end;
    } else if (text[i] == '{' && lists) {
      const std::string_view list = text.substr(i + 1, text.find('}', i) - i - 1);
      const auto count = list.empty() ? 0 : std::count(list.begin(), list.end(), ',') + 1;
      out += "tensor<int32, [" + std::to_string(count) + "]>([" + std::string(list) + "])";
      i += list.size() + 1;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string one_op(std::string_view inputs, std::string_view statement, std::string_view outputs,
                   std::string_view functions) {
  std::string text = "program(1.3)\n{\n    func main<ios18>(" + expand(inputs) + ") {\n" + expand(statement) +
                     "[name = string(\"o\")];\n    } -> (" + std::string(outputs) + ");\n";
  if (!functions.empty()) text += expand(functions, false) + "\n";
  return text + "}\n";
}

std::string one_op(const OpRow& row) { return one_op(row.inputs, row.statement, row.outputs, row.functions); }

}  // namespace anesdk::test
