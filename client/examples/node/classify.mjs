// Asks Triton for a clip's emotion over gRPC, from Node or Deno:  classify.mjs ADDRESS FOLDER
// The folder is what client/examples/prepare.py has written.
import { readFileSync } from "node:fs";
import process from "node:process";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [address, folder] = process.argv.slice(2);
const read = (name) => readFileSync(`${folder}/${name}`);

const messages = loader.loadFileDescriptorSetFromBuffer(read("triton.protoset"));
const { inference } = grpc.loadPackageDefinition(messages);
const client = new inference.GRPCInferenceService(address, grpc.credentials.createInsecure());

// In a tensor of bytes, each element comes after its length: 4 bytes, little-endian.
function tensorOfBytes(elements) {
  return Buffer.concat(elements.flatMap((element) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(element.length);
    return [length, element];
  }));
}

function elementsOf(tensor) {
  const elements = [];
  for (let at = 0; at < tensor.length;) {
    const end = at + 4 + tensor.readUInt32LE(at);
    elements.push(tensor.subarray(at + 4, end));
    at = end;
  }
  return elements;
}

const frames = Array.from({ length: 16 }, (_, index) => read(`${index}.jpg`));
const sound = read("sound.f32");
const request = {
  model_name: "vemoclap_jpeg",
  inputs: [
    { name: "JPEG_FRAMES", datatype: "BYTES", shape: [1, frames.length] },
    { name: "AUDIO", datatype: "FP32", shape: [1, sound.length / 4] },
  ],
  raw_input_contents: [tensorOfBytes(frames), sound],
  outputs: [{
    name: "PROBABILITIES",
    // As "probability:index:emotion", the most probable first, instead of as numbers. A protoset's
    // maps are lists of their entries here.
    parameters: [{ key: "classification", value: { int64_param: 6 } }],
  }],
};

client.ModelInfer(request, { deadline: Date.now() + 120_000 }, (error, response) => {
  if (error) {
    console.error(`${grpc.status[error.code]}: ${error.details}`);
    process.exitCode = 1;
  } else {
    for (const element of elementsOf(response.raw_output_contents[0])) {
      const [probability, , emotion] = element.toString().split(":");
      console.log(emotion, probability);
    }
  }
  client.close();
});
