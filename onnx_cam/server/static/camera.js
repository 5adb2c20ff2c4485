// The camera: a video in a dialog where the browser allows that, otherwise the phone's own camera program.

const byId = (id) => document.getElementById(id);
const dialog = byId("camera-dialog");
const video = byId("video");

/** Let the user take a picture; `use(file)` gets it. */
export async function openCamera(use) {
  const isTouch = matchMedia("(pointer: coarse)").matches;
  if (isTouch || !navigator.mediaDevices?.getUserMedia) {
    byId("capture").click();
    return;
  }
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } });
  video.srcObject = stream;
  byId("shoot").onclick = async () => {
    use(await frameOf(video));
    dialog.close();
  };
  dialog.onclose = () => {
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  };
  dialog.showModal();
}

async function frameOf(source) {
  const canvas = new OffscreenCanvas(source.videoWidth, source.videoHeight);
  canvas.getContext("2d").drawImage(source, 0, 0);
  return new File([await canvas.convertToBlob({ type: "image/png" })], "camera.png", { type: "image/png" });
}

byId("camera-close").onclick = () => dialog.close();
