import type { Files } from "./guest-driver.ts";

export interface TarEntry {
  readonly path: string;
  readonly type: string;
  readonly link?: string;
}

/** A plain tar as the builder makes it, without checks, so that hostile ones can be made too. What is long gets a pax header. */
export function packTar(files: Files, more: readonly TarEntry[] = []): Buffer {
  const blocks: Buffer[] = [];
  for (const [path, content] of Object.entries(files)) {
    const body = Buffer.from(content);
    blocks.push(...pax("path", path), header(path, "0", body.length, ""), padded(body));
  }
  for (const { path, type, link = "" } of more)
    blocks.push(...pax("path", path), ...pax("linkpath", link), header(path, type, 0, link));
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function pax(key: string, value: string): Buffer[] {
  if (Buffer.byteLength(value) <= 100) return [];
  const field = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(field);
  length += String(length + String(length).length).length;
  const body = Buffer.from(`${length}${field}`);
  return [header("PaxHeader", "x", body.length, ""), padded(body)];
}

function header(path: string, type: string, size: number, link: string): Buffer {
  const block = Buffer.alloc(512);
  block.write(path, 0, 100);
  block.write("0000644\0", 100);
  block.write("0000000\0", 108);
  block.write("0000000\0", 116);
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block.write("00000000000\0", 136);
  block.write("        ", 148);
  block.write(type, 156);
  block.write(link, 157);
  block.write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function padded(body: Buffer): Buffer {
  return Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}
