// Writes face_api_reference.json: what face-api's own program answers. Run once, by hand:
//
//   mkdir /tmp/reference
//   PYTHONPATH=client:. python -m tests.parity.face_api_inputs /tmp/reference
//   npm install --prefix /tmp/reference @vladmandic/face-api@1.7.15 @tensorflow/tfjs@4.22.0 \
//       @tensorflow/tfjs-backend-wasm@4.22.0
//   NODE_PATH=/tmp/reference/node_modules node tests/parity/face_api_reference.cjs \
//       /tmp/reference > tests/parity/face_api_reference.json
//
// It runs on TensorFlow.js's plain CPU backend; the WASM package is only there to be required.
const fs = require('fs');
const path = require('path');
const tf = require('@tensorflow/tfjs');
const faceapi = require('@vladmandic/face-api/dist/face-api.node-wasm.js');

const folder = process.argv[2];
const models = path.join(folder, 'node_modules/@vladmandic/face-api/model');
const SIDE_PX = 112;

function picture(name) {
  const bytes = fs.readFileSync(path.join(folder, `${name}.rgb`));
  return tf.tensor(new Int32Array(bytes), [SIDE_PX, SIDE_PX, 3], 'int32');
}

async function classify(name) {
  const network = faceapi.nets.faceExpressionNet;
  const features = await network.faceFeatureExtractor.forward(picture(name));
  const probabilities = await network.forward(picture(name));
  return {
    features: Array.from(features.dataSync()),
    probabilities: Array.from(probabilities.dataSync()),
    order: ['neutral', 'happy', 'sad', 'angry', 'fearful', 'disgusted', 'surprised'],
  };
}

async function main() {
  await faceapi.tf.setBackend('cpu');
  await faceapi.tf.ready();
  await faceapi.nets.faceExpressionNet.loadFromDisk(models);
  const reference = {};
  for (const name of ['portrait', 'pattern']) {
    reference[name] = await classify(name);
  }
  const rounded = (key, value) => (typeof value === 'number' ? Number(value.toPrecision(8)) : value);
  console.log(JSON.stringify(reference, rounded));
}

main();
