// How the loops of map_ops.def become C++. A file that includes this has a template `Function` by MapOp, whose
// specialisations ANESDK_FUNCTION writes, and `loop_of`, which makes a loop of one for the type T.
#pragma once

#define ANESDK_BODY_NONE x
#define ANESDK_BODY_LOOP(loop) x
#define ANESDK_BODY_AS_UINT8 x
#define ANESDK_BODY_EXPR(expression) expression
#define ANESDK_BODY_FLOAT32(expression) expression

#define ANESDK_FUNCTION(op, column)                  \
  template <>                                        \
  struct Function<MapOp::op> {                       \
    template <class T>                               \
    static auto f(T x, [[maybe_unused]] T y = T()) { \
      return ANESDK_BODY_##column;                   \
    }                                                \
  };

// Each form becomes the name of a macro, or a call's beginning, which (op, kind) completes.
#define ANESDK_FORM_NONE nullptr ANESDK_DROP
#define ANESDK_FORM_AS_UINT8 integers::of_type<uint8_t>(op, scalars) ANESDK_DROP
#define ANESDK_FORM_LOOP(loop) loop<T> ANESDK_SCALARS
#define ANESDK_FORM_EXPR(expression) ANESDK_ANY_TYPE
#define ANESDK_FORM_FLOAT32(expression) std::is_same_v<T, float> ? ANESDK_FLOAT32_ALONE
#define ANESDK_DROP(op, kind)
#define ANESDK_SCALARS(op, kind) (scalars)
#define ANESDK_ANY_TYPE(op, kind) loop_of<T, Function<MapOp::op>, MapKind::kind>(scalars)
#define ANESDK_FLOAT32_ALONE(op, kind) loop_of<float, Function<MapOp::op>, MapKind::kind>(scalars) : nullptr

#define ANESDK_CASE(op, kind, column) \
  case MapOp::op:                     \
    return ANESDK_FORM_##column(op, kind);
