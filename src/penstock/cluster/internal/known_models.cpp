#include "penstock/cluster/internal/known_models.h"

#include <algorithm>
#include <cctype>

namespace penstock::cluster {

// Parameters and multiply-adds (counted twice) of the vision models: torchvision's table of
// pre-trained weights, 224x224 (Inception 299x299; Inception-v4: Szegedy et al. 2016, as counted by
// timm). BERT: Devlin et al. 2019, 128 tokens. GPT-2: Radford et al. 2019, 1,024 tokens.
// Transformer: Vaswani et al. 2017, table 3, base, 30 tokens. LM: PyTorch's word_language_model on
// Wikitext-2 with its defaults, 35 tokens, which Gavel runs. DQN and A2C: the network of Mnih et
// al. 2015. YOLOv3: Redmon and Farhadi 2018, 416x416. DeepSpeech 2: Amodei et al. 2016 (recalled).
// CycleGAN: Zhu et al. 2017, two generators and two discriminators (recalled). Recommendation: an
// autoencoder over the 20,108 films of MovieLens-20M with 600 hidden units.
//
// The largest tensor follows from the published shapes: VGG 25088x4096, AlexNet 9216x4096, ResNet
// 512x512x3x3, the classifier (features x 1000) of the small vision models, the token embedding of
// BERT (30522), GPT-2 (50257), Transformer (37000x512) and LM (33278x200), YOLOv3 1024x512x3x3,
// DeepSpeech 2 the first of five LSTM layers (4096x1312), NCF users' embedding (138493x128),
// CycleGAN 512x256x4x4, DQN 3136x512.
const std::vector<KnownModel>& known_models() {
  static const std::vector<KnownModel> kModels = {
      {"resnet18", "cifar10", "ResNet-18", 11.69e6, 2.36e6, 3.64e9, 128, {"cifar10"}},
      {"resnet34", "", "", 21.80e6, 2.36e6, 7.34e9, 64, {}},
      {"resnet50", "imagenet", "ResNet-50", 25.56e6, 2.36e6, 8.22e9, 64, {"imagenet"}},
      {"resnet101", "", "", 44.55e6, 2.36e6, 15.6e9, 32, {}},
      {"resnet152", "", "", 60.19e6, 2.36e6, 23.1e9, 32, {}},
      {"vgg11", "", "", 132.86e6, 102.76e6, 15.2e9, 32, {}},
      {"vgg13", "", "", 133.05e6, 102.76e6, 22.6e9, 32, {}},
      {"vgg16", "", "", 138.36e6, 102.76e6, 31.0e9, 32, {"vgg"}},
      {"vgg19", "", "", 143.67e6, 102.76e6, 39.3e9, 32, {}},
      {"alexnet", "", "", 61.10e6, 37.75e6, 1.43e9, 128, {}},
      {"mobilenetv2", "", "", 3.50e6, 1.28e6, 0.60e9, 64, {"mobilenet"}},
      {"shufflenetv2x10", "", "", 2.28e6, 1.02e6, 0.29e9, 128, {"shufflenet", "shufflenetv2"}},
      {"googlenet", "", "", 6.62e6, 1.02e6, 3.00e9, 64, {"inception1", "inceptionv1"}},
      {"inception3", "", "", 27.16e6, 2.05e6, 11.4e9, 32, {"inceptionv3", "inception"}},
      {"inception4", "", "", 42.68e6, 1.54e6, 24.6e9, 32, {"inceptionv4"}},
      {"densenet121", "", "", 7.98e6, 1.02e6, 5.67e9, 32, {"densenet"}},
      {"bert", "bert", "", 109.5e6, 23.44e6, 22.4e9, 8, {"bertbase", "bertbaseuncased"}},
      {"bertlarge", "", "", 335e6, 31.25e6, 78.9e9, 4, {}},
      {"gpt2", "", "", 124.4e6, 38.60e6, 291e9, 4, {"gpt"}},
      {"transformer", "", "Transformer", 65e6, 18.94e6, 3.9e9, 64, {}},
      {"lm", "", "LM", 14.0e6, 6.66e6, 0.51e9, 20, {"lstm"}},
      {"yolov3", "yolov3", "", 61.95e6, 4.72e6, 65.9e9, 8, {"yolo"}},
      {"deepspeech2", "deepspeech2", "", 86.6e6, 5.37e6, 60e9, 20, {"deepspeech"}},
      {"ncf", "ncf", "", 31.8e6, 17.7e6, 0.001e9, 1024, {"neumf"}},
      {"recommendation", "", "Recommendation", 24.2e6, 12.06e6, 0.048e9, 1024, {"recoder"}},
      {"cyclegan", "", "CycleGAN", 28.3e6, 2.10e6, 228e9, 1, {}},
      {"a2c", "", "", 1.69e6, 1.61e6, 0.019e9, 64, {"a3c"}},
      {"dqn", "", "", 1.69e6, 1.61e6, 0.019e9, 128, {}},
  };
  return kModels;
}

std::string plain_name(std::string_view model) {
  std::string plain;
  for (const char letter : model) {
    const auto c = static_cast<unsigned char>(letter);
    if (std::isalnum(c)) plain.push_back(static_cast<char>(std::tolower(c)));
  }
  return plain;
}

const KnownModel* find_known_model(std::string_view plain) {
  for (const KnownModel& model : known_models()) {
    const bool alias =
        std::find(model.aliases.begin(), model.aliases.end(), plain) != model.aliases.end();
    if (model.name == plain || alias) return &model;
  }
  return nullptr;
}

}  // namespace penstock::cluster
