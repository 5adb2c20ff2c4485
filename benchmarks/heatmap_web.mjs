// The models that `python -m benchmarks.heatmap --keep DIR` left, run by onnxruntime-web (WebAssembly) under Node.
//
//     npm install onnxruntime-web && node benchmarks/heatmap_web.mjs DIR
//
// Prints the largest difference of each heatmap from that of onnx-cam explain, from 0 to 1.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "here.js"));
const ort = require("onnxruntime-web");
const folder = process.argv[2];
const arrays = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array, float16: Uint16Array };

ort.env.logLevel = "error";
ort.env.wasm.numThreads = 1;
console.log(`onnxruntime-web ${ort.env.versions.web}\n\n| model and method | difference |\n|---|---|`);
for (const file of readdirSync(folder).filter((name) => name.endsWith(".onnx")).sort()) {
  const stem = file.slice(0, -".onnx".length);
  try {
    const { input, shape, dtype, heatmap } = JSON.parse(readFileSync(join(folder, `${stem}.json`), "utf8"));
    const bytes = readFileSync(join(folder, `${stem}.bin`));
    const numbers = new arrays[dtype](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(join(folder, file))));
    const results = await session.run({ [input]: new ort.Tensor(dtype, numbers, shape) });
    const found = results.heatmap.data;
    let worst = 0;
    heatmap.forEach((expected, place) => (worst = Math.max(worst, Math.abs(found[place] - expected))));
    console.log(`| ${stem} | ${worst.toExponential(1)} |`);
    await session.release();
  } catch (error) {
    console.log(`| ${stem} | ${String(error.message ?? error).split("\n")[0].slice(0, 200)} |`);
  }
}
