// Where objects are kept: blobs beside the store, and archives.
import { openFolder, openS3, type ObjectStore } from '@kadre/store';

/** Plain data, so that it can be handed to a worker thread. Credentials are not in it: AWS's usual variables have them. */
export type Place = { folder: string } | { s3: S3Place };

export interface S3Place {
  endpoint: string;
  bucket: string;
  region?: string;
  prefix?: string;
}

export function openPlace(place: Place): Promise<ObjectStore> {
  return 'folder' in place ? openFolder(place.folder) : Promise.resolve(openS3(place.s3));
}
