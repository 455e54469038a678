// The stand-in's compiler: its rules, and a plain evaluation of what passed them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model.h"

namespace standin {

// Throws Refusal for what the engine's compiler refuses and E5RTError for what it dies of.
void check_model(const Model& model);

// `values` holds the inputs by name and gets every result.
void evaluate(const Model& model, std::map<std::string, Tensor>& values);

}  // namespace standin
