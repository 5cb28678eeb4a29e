// Signatures are bytes there, so what the gateway packs has to be base64.
import { packSignature, unpackSignature, type Opaque } from '../../conversation/opaque.ts';

const PACKED = 'kadre:';

export function signatureOf(opaque: Opaque): string {
  const packed = packSignature(opaque, 'google');
  return packed.startsWith(PACKED) ? Buffer.from(packed).toString('base64') : packed;
}

export function opaqueOf(signature: string): Opaque {
  const packed = Buffer.from(signature, 'base64').toString();
  return packed.startsWith(PACKED) ? unpackSignature(packed, 'google') : { family: 'google', data: signature };
}
