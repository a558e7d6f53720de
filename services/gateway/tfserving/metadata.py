"""PredictionService/GetModelMetadata and ModelService/GetModelStatus: what there is of a model."""

from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.tfserving.v1 import model_pb2 as pb
from seqserve.tfserving.v1 import prediction_pb2
from seqserve.tfserving.v1.tensor_pb2 import SignatureDef, SignatureDefMap

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue, service_of
from services.gateway.tfserving.errors import cut
from services.gateway.tfserving.servables import echo, find_servable
from services.runtime.errors import InvalidInput, NotFound

SIGNATURE_DEF = "signature_def"
TYPE_URL = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
STATES = {
    model_pb.VersionState.VERSION_STATE_START: pb.ModelVersionStatus.STATE_START,
    model_pb.VersionState.VERSION_STATE_LOADING: pb.ModelVersionStatus.STATE_LOADING,
    model_pb.VersionState.VERSION_STATE_AVAILABLE: pb.ModelVersionStatus.STATE_AVAILABLE,
    model_pb.VersionState.VERSION_STATE_UNLOADING: pb.ModelVersionStatus.STATE_UNLOADING,
    model_pb.VersionState.VERSION_STATE_END: pb.ModelVersionStatus.STATE_END,
}


async def get_metadata(
    catalogue: Catalogue, request: prediction_pb2.GetModelMetadataRequest, call: Call
) -> tuple[prediction_pb2.GetModelMetadataResponse, str]:
    """What a version reads and returns.

    Raises:
        InvalidInput: the request names no model, or anything but "signature_def".
        NotFound: no such model or version.
    """
    if not request.HasField("model_spec"):
        raise InvalidInput("Missing ModelSpec")
    if not request.metadata_field:
        raise InvalidInput("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise InvalidInput(f"Metadata field {cut(field)} is not supported")
    servable = await find_servable(catalogue, request.model_spec)
    response = prediction_pb2.GetModelMetadataResponse(model_spec=echo(servable, "", servable.description.version))
    packed = response.metadata[SIGNATURE_DEF]
    packed.type_url, packed.value = TYPE_URL, read_signatures(servable.description).SerializeToString()
    return response, ""


def read_signatures(version: model_pb.VersionDescription) -> SignatureDefMap:
    """Every signature of a version, as its SavedModel describes it."""
    definitions = {name: SignatureDef.FromString(s.definition) for name, s in version.signatures.items()}
    return SignatureDefMap(signature_def=definitions)


async def get_status(
    catalogue: Catalogue, request: pb.GetModelStatusRequest, call: Call
) -> tuple[pb.GetModelStatusResponse, str]:
    """The versions of a model, highest first, or the one version that is asked for.

    Raises:
        InvalidInput: the request names no model.
        NotFound: no such model or version.
        Unavailable: the service that serves it does not answer.
    """
    if not request.HasField("model_spec"):
        raise InvalidInput("Missing ModelSpec")
    spec = request.model_spec
    if not spec.name:
        raise InvalidInput("ModelSpec has no name specified.")
    await catalogue.inference.clients[service_of(spec.name)].refresh()  # who asks waits for a state to change
    model = await catalogue.find_model(spec.name)
    versions = sorted(model.versions, key=lambda v: int(v.version), reverse=True) if model else []
    if not versions:
        raise NotFound(f"Could not find any versions of model {cut(spec.name)}")
    if spec.HasField("version"):
        versions = [v for v in versions if int(v.version) == spec.version.value]
        if not versions:
            raise NotFound(f"Could not find version {spec.version.value} of model {cut(spec.name)}")
    return pb.GetModelStatusResponse(model_version_status=[_describe(version) for version in versions]), ""


def _describe(version: model_pb.VersionDescription) -> pb.ModelVersionStatus:
    code = pb.CODE_UNKNOWN if version.error else pb.CODE_UNSPECIFIED
    return pb.ModelVersionStatus(
        version=int(version.version),
        state=STATES.get(version.state, pb.ModelVersionStatus.STATE_UNSPECIFIED),
        status=pb.StatusProto(error_code=code, error_message=version.error),
    )
