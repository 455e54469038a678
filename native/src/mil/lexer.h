// MIL text as tokens, one at a time.
#pragma once

#include <string>
#include <string_view>

#include "mil/error.h"

namespace anesdk::mil {

enum class TokenKind { IDENT, NUMBER, STRING, PUNCT, ARROW, END };

struct Token {
  TokenKind kind = TokenKind::END;
  std::string_view text;  // as written; a string keeps its quotes
  int line = 1;
  int column = 1;  // in bytes, from 1
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}
  Token next();

 private:
  Token take(TokenKind kind, size_t length);
  void skip_space();
  size_t ident_length(size_t from) const;
  size_t number_length() const;
  size_t string_length() const;
  [[noreturn]] void fail(const std::string& what) const;

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  size_t line_start_ = 0;
};

// The characters that a string token stands for.
std::string unquote(std::string_view quoted);

[[noreturn]] void fail_at(int line, int column, const std::string& what, int32_t status = ANESDK_PARSE_ERROR);

// User text as a message shows it: printable, and short.
std::string excerpt(std::string_view text);

}  // namespace anesdk::mil
