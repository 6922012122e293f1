"""Small files on any file system that Spark knows: local, HDFS, an object store."""

from typing import TYPE_CHECKING, Any

from txmon.errors import IoFailure

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def exists(spark: "SparkSession", path: str) -> bool:
    """Return whether there is a file or a folder at `path`."""
    system, place = _place(spark, path)
    return bool(system.exists(place))


def listed(spark: "SparkSession", path: str) -> list[str]:
    """Return the names in the folder `path`."""
    system, place = _place(spark, path)
    return [str(status.getPath().getName()) for status in system.listStatus(place)] if system.exists(place) else []


def read_text(spark: "SparkSession", path: str) -> str:
    """Return the file at `path`."""
    return str(spark.sparkContext.wholeTextFiles(path).values().first())


def write_text(spark: "SparkSession", path: str, text: str) -> None:
    """Write the file at `path` anew. Raise IoFailure if that fails."""
    try:
        system, place = _place(spark, path)
        stream = system.create(place, True)
        stream.write(text.encode())
        stream.close()
    except Exception as bad:
        raise IoFailure(f"{path}: cannot be written ({str(bad).splitlines()[0]})") from bad


def _place(spark: "SparkSession", path: str) -> tuple[Any, Any]:
    jvm: Any = spark.sparkContext._jvm
    place = jvm.org.apache.hadoop.fs.Path(path)
    return place.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()), place
