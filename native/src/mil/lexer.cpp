#include "mil/lexer.h"

#include <cstdio>

namespace anesdk::mil {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Bytes of the UTF-8 sequence that starts at `text[at]`, or 0 when it is malformed (overlong forms, surrogates and
// anything above U+10FFFF included).
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const auto tail = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) > 0x9F;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool overlong = lead == 0xF0 && byte(1) < 0x90;
    const bool too_big = lead == 0xF4 && byte(1) > 0x8F;
    return tail(1) && tail(2) && tail(3) && !overlong && !too_big ? 4 : 0;
  }
  return 0;
}

}  // namespace

void fail_at(int line, int column, const std::string& what, int32_t status) {
  throw Error(std::to_string(line) + ":" + std::to_string(column) + ": " + what, status);
}

std::string excerpt(std::string_view text) {
  constexpr size_t kMax = 40;
  std::string out;
  for (const char c : text.substr(0, kMax)) {
    if (c >= 0x20 && c < 0x7F) {
      out += c;
    } else {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
      out += hex;
    }
  }
  return text.size() > kMax ? out + "..." : out;
}

void Lexer::fail(const std::string& what) const { fail_at(line_, static_cast<int>(at_ - line_start_) + 1, what); }

void Lexer::skip_space() {
  for (; at_ < text_.size() && is_space(text_[at_]); ++at_) {
    if (text_[at_] == '\n') {
      ++line_;
      line_start_ = at_ + 1;
    }
  }
}

Token Lexer::take(TokenKind kind, size_t length) {
  const Token token{kind, text_.substr(at_, length), line_, static_cast<int>(at_ - line_start_) + 1};
  at_ += length;
  return token;
}

Token Lexer::next() {
  skip_space();
  if (at_ == text_.size()) return take(TokenKind::END, 0);
  const char c = text_[at_];
  if (is_letter(c)) return take(TokenKind::IDENT, ident_length(at_));
  if (text_.substr(at_, 2) == "->") return take(TokenKind::ARROW, 2);
  if (is_digit(c) || c == '-') return take(TokenKind::NUMBER, number_length());
  if (c == '"') return take(TokenKind::STRING, string_length());
  if (std::string_view("()[]{}<>=,;?").find(c) != std::string_view::npos) return take(TokenKind::PUNCT, 1);
  fail("unexpected character '" + excerpt(text_.substr(at_, 1)) + "'");
}

size_t Lexer::ident_length(size_t from) const {
  size_t end = from;
  while (end < text_.size() && (is_letter(text_[end]) || is_digit(text_[end]))) ++end;
  return end - from;
}

// Everything that may belong to a number; parse_number decides whether it is one.
size_t Lexer::number_length() const {
  size_t end = at_ + (text_[at_] == '-');
  const bool hex = text_.substr(end, 2) == "0x" || text_.substr(end, 2) == "0X";
  const std::string_view exponent = hex ? "pP" : "eE";
  for (; end < text_.size(); ++end) {
    const char c = text_[end];
    const bool exponent_sign = (c == '+' || c == '-') && exponent.find(text_[end - 1]) != std::string_view::npos;
    if (!is_letter(c) && !is_digit(c) && c != '.' && !exponent_sign) break;
  }
  return end - at_;
}

size_t Lexer::string_length() const {
  for (size_t end = at_ + 1; end < text_.size();) {
    const char c = text_[end];
    if (c == '"') return end + 1 - at_;
    if (c == '\\') {
      if (end + 1 >= text_.size() || std::string_view("\\\"nrt").find(text_[end + 1]) == std::string_view::npos)
        fail("unknown escape in a string: '" + excerpt(text_.substr(end, 2)) + "'");
      end += 2;
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      fail(c == '\n' ? "unterminated string" : "control character in a string");
    const size_t length = utf8_length(text_, end);
    if (length == 0) fail("a string is not valid UTF-8");
    end += length;
  }
  fail("unterminated string");
}

std::string unquote(std::string_view quoted) {
  std::string out;
  for (size_t i = 1; i + 1 < quoted.size(); ++i) {
    char c = quoted[i];
    if (c == '\\') {
      c = quoted[++i];
      c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
    }
    out += c;
  }
  return out;
}

}  // namespace anesdk::mil
