// The shared networks as whole: one training step from each ONNX file, and ResNet-18's gradients
// against torchvision's own.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "penstock/train/step_loop.h"
#include "penstock/train/worker/torch_program.h"
#include "penstock/train/worker/torch_trainer.h"

namespace penstock::train {
namespace {

std::string shared_graph(const std::string& name) {
  const char* root = std::getenv("PENSTOCK_SHARED");
  return (std::filesystem::path(root != nullptr ? root : PENSTOCK_SOURCE_DIR "/../shared") /
          "data" / "onnx" / "exported" / (name + ".onnx"))
      .string();
}

#define SKIP_WITHOUT(path) \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << (path) << " is not there"

struct ModelCase {
  std::string file;
  std::int64_t parameters;  // as the network was trained
  int tensors;              // likewise
};

class SlowModelTest : public ::testing::TestWithParam<ModelCase> {};

// Parameters and tensors of torchvision's models, from torchvision itself (room page "profiling",
// section 1.7); of the exporter's own modules, from the reader.
TEST_P(SlowModelTest, TrainsAStepFromItsFile) {
  const std::string path = shared_graph(GetParam().file);
  SKIP_WITHOUT(path);
  Job job;
  job.model = path;
  job.batch = 2;
  job.steps = 1;
  job.warmup = 0;
  job.threads = 2;
  const Result<std::unique_ptr<Trainer>> trainer = make_torch_trainer(job);
  ASSERT_TRUE(trainer) << trainer.error().text();
  std::int64_t elements = 0;
  for (const std::int64_t count : (*trainer)->gradient_elements()) elements += count;
  if (GetParam().parameters > 0) {
    EXPECT_EQ(elements, GetParam().parameters);
  }
  if (GetParam().tensors > 0) {
    EXPECT_EQ((*trainer)->gradient_elements().size(), GetParam().tensors);
  }
  std::vector<StepRecord> records;
  const Status status = run_steps(job, {.trainer = trainer->get()},
                                  [&](const StepRecord& record) { records.push_back(record); });
  ASSERT_TRUE(status) << status.error().text();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_TRUE(std::isfinite(records[0].loss));
  EXPECT_GT(records[0].loss, 0);
  EXPECT_GT(records[0].backward_ns, 0);
  // The step has moved the weights: the same batch has another loss now.
  ASSERT_TRUE((*trainer)->load_synthetic(0));
  ASSERT_TRUE((*trainer)->forward());
  EXPECT_NE((*trainer)->loss(), records[0].loss);
}

INSTANTIATE_TEST_SUITE_P(Exported, SlowModelTest,
                         ::testing::Values(ModelCase{"resnet18", 11'689'512, 62},
                                           ModelCase{"resnet50_train", 25'557'032, 161},
                                           ModelCase{"resnet50_dyn", 25'557'032, 161},
                                           ModelCase{"vgg11", 132'863'336, 22},
                                           ModelCase{"vgg16_dyn", 138'357'544, 32},
                                           ModelCase{"mobilenet_v2", 3'504'872, 158},
                                           ModelCase{"alexnet_dyn", 61'100'840, 16},
                                           ModelCase{"vit_b_16", 86'567'656, 152},
                                           ModelCase{"gpt2s", 0, 0}, ModelCase{"googlenet", 0, 0},
                                           ModelCase{"dlrm", 0, 0}, ModelCase{"lstm", 0, 0},
                                           ModelCase{"bert_like", 0, 0}),
                         [](const auto& test) { return test.param.file; });

void write_doubles(std::ofstream& file, const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kDouble).contiguous();
  file.write(reinterpret_cast<const char*>(flat.data_ptr<double>()),
             static_cast<std::streamsize>(flat.numel() * 8));
}

// torchvision's model in double precision and without dropout, which the exports lack, with the
// images, labels and weights of the file; writes the loss and the gradients. Weights come in the
// order of the forward pass, where a class token follows the first convolution, and those of a
// MatMul transposed; `shapes` are ours.
constexpr const char* kReference = R"(
import sys
import numpy, torch, torchvision
torch.set_default_dtype(torch.float64)
data = torch.from_numpy(numpy.fromfile(sys.argv[2]))
shapes = [tuple(map(int, line.split())) for line in open(sys.argv[3])]
model = getattr(torchvision.models, sys.argv[1])().train()
for module in model.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0
parameters = dict(model.named_parameters())
order = [name for name in parameters if name != 'class_token']
if 'class_token' in parameters:
    order.insert(2, 'class_token')
assert len(order) == len(shapes), (len(order), len(shapes))
at = 0
def take(*shape):
    global at
    count = int(numpy.prod(shape))
    at += count
    return data[at - count:at].view(*shape)
images = take(2, 3, 224, 224)
labels = take(2).long()
def ours(tensor, shape):
    return tensor if tuple(tensor.shape) == shape else tensor.t()
with torch.no_grad():
    for name, shape in zip(order, shapes):
        ours(parameters[name], shape).copy_(take(*shape))
assert at == len(data)
loss = torch.nn.functional.cross_entropy(model(images), labels)
loss.backward()
gradients = [ours(parameters[n].grad, s).contiguous().numpy().ravel() for n, s in zip(order, shapes)]
numpy.concatenate([[loss.item()]] + gradients).tofile(sys.argv[4])
)";

struct ReferenceCase {
  std::string file;
  std::string model;  // of torchvision
  double tolerance;   // the export rounds constants such as 1e-6 and sqrt(2) to single precision
};

class SlowReferenceTest : public ::testing::TestWithParam<ReferenceCase> {
 protected:
  SlowReferenceTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "model-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SlowReferenceTest() override { std::filesystem::remove_all(folder_); }

  void write_case(const Program& program, const at::Tensor& images, const at::Tensor& labels) {
    std::ofstream file(folder_ + "/in", std::ios::binary);
    std::ofstream shapes(folder_ + "/shapes");
    write_doubles(file, images);
    write_doubles(file, labels);
    for (const Parameter& p : program.parameters()) {
      write_doubles(file, p.value);
      shapes << fmt::format("{}\n", fmt::join(p.value.sizes().vec(), " "));
    }
    std::ofstream(folder_ + "/reference.py") << kReference;
  }

  std::string folder_;
};

TEST_P(SlowReferenceTest, GradientsEqualThoseOfTorchvisionWithTheSameWeights) {
  const std::string path = shared_graph(GetParam().file);
  SKIP_WITHOUT(path);
  // Debian's interpreter, which sees Debian's packages wherever another python3 comes first.
  const std::string python = "/usr/bin/python3";
  if (std::system((python + " -c 'import torch, torchvision, numpy' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "the packages python3-torch and python3-torchvision are not there";
  }
  const Result<model::Graph> graph = model::read_onnx(path, {.batch = 2});
  ASSERT_TRUE(graph) << graph.error().text();
  const Result<Program> program = Program::build(*graph, {.seed = 1, .type = at::kDouble});
  ASSERT_TRUE(program) << program.error().text();
  at::manual_seed(2);
  const at::Tensor images = at::randn({2, 3, 224, 224}, at::kDouble);
  const at::Tensor labels = at::tensor({7, 421}, at::kLong);
  write_case(*program, images, labels);
  const std::string command = fmt::format("{0} {1}/reference.py {2} {1}/in {1}/shapes {1}/out",
                                          python, folder_, GetParam().model);
  ASSERT_EQ(std::system(command.c_str()), 0);
  const at::Tensor loss = program->loss({images}, labels);
  loss.backward();
  std::vector<at::Tensor> ours = {loss.detach().view({1})};
  for (const Parameter& p : program->parameters()) ours.push_back(p.value.grad().flatten());
  const at::Tensor flat = at::cat(ours);
  at::Tensor reference = at::empty_like(flat);
  std::ifstream file(folder_ + "/out", std::ios::binary);
  file.read(reinterpret_cast<char*>(reference.data_ptr<double>()),
            static_cast<std::streamsize>(reference.numel() * 8));
  ASSERT_EQ(file.gcount(), reference.numel() * 8);
  const double largest = reference.abs().max().item<double>();
  EXPECT_LT((flat - reference).abs().max().item<double>(), GetParam().tolerance * largest);
}

INSTANTIATE_TEST_SUITE_P(Torchvision, SlowReferenceTest,
                         ::testing::Values(ReferenceCase{"resnet18", "resnet18", 1e-9},
                                           ReferenceCase{"mobilenet_v2", "mobilenet_v2", 1e-9},
                                           ReferenceCase{"vit_b_16", "vit_b_16", 1e-5}),
                         [](const auto& test) { return test.param.file; });

}  // namespace
}  // namespace penstock::train
