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
const ANCHOR_STEP = 64; // every 64th anchor is kept
const BEST = 10; // and those with the highest scores

function picture(name, side) {
  const bytes = fs.readFileSync(path.join(folder, `${name}_${side}.rgb`));
  return tf.tensor(new Int32Array(bytes), [side, side, 3], 'int32');
}

async function detect(name) {
  const { boxes, scores } = await faceapi.nets.ssdMobilenetv1.forward(picture(name, 512));
  const [allBoxes, allScores] = [boxes[0].arraySync(), scores[0].arraySync()];
  const best = allScores.map((_, i) => i).sort((a, b) => allScores[b] - allScores[a]);
  const spread = allScores.map((_, i) => i).filter((i) => i % ANCHOR_STEP === 0);
  const anchors = [...best.slice(0, BEST), ...spread];
  return {
    anchors,
    boxes_y0_x0_y1_x1: anchors.map((i) => allBoxes[i]),
    scores: anchors.map((i) => allScores[i]),
  };
}

async function classify(name) {
  const network = faceapi.nets.faceExpressionNet;
  const features = await network.faceFeatureExtractor.forward(picture(name, 112));
  const probabilities = await network.forward(picture(name, 112));
  return {
    features: Array.from(features.dataSync()),
    probabilities: Array.from(probabilities.dataSync()),
    order: ['neutral', 'happy', 'sad', 'angry', 'fearful', 'disgusted', 'surprised'],
  };
}

async function main() {
  await faceapi.tf.setBackend('cpu');
  await faceapi.tf.ready();
  await faceapi.nets.ssdMobilenetv1.loadFromDisk(models);
  await faceapi.nets.faceExpressionNet.loadFromDisk(models);
  const reference = { detector: {}, expression: {} };
  for (const name of ['portrait', 'pattern']) {
    reference.detector[name] = await detect(name);
    reference.expression[name] = await classify(name);
  }
  const rounded = (key, value) => (typeof value === 'number' ? Number(value.toPrecision(8)) : value);
  console.log(JSON.stringify(reference, rounded));
}

main();
