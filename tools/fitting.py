"""Whether every value of one type is one of another, as far as that can be known without a value: of what a composite tool hands from step
to step. Types are meant as JSON: a date fits a text, and a whole number a number.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, get_args, get_origin

from msgspec import inspect as forms

_LISTS: Final = (forms.ListType, forms.VarTupleType, forms.SetType, forms.FrozenSetType, forms.CollectionType)
_OBJECTS: Final = (forms.StructType, forms.TypedDictType, forms.DataclassType)
_UNKNOWN: Final = (forms.AnyType, forms.RawType, forms.CustomType, forms.ExtType)
_TEXTS: Final = (
    forms.StrType, forms.DateTimeType, forms.DateType, forms.TimeType, forms.TimeDeltaType, forms.UUIDType, forms.DecimalType,
    forms.BytesType, forms.ByteArrayType, forms.MemoryViewType,
)  # fmt: skip


def bare(form: Any) -> Any:  # type forms
    """A type without what is said about it."""
    while get_origin(form) is Annotated:
        form = get_args(form)[0]
    return form


def misfit(source: Any, target: Any) -> bool:  # type forms
    """Whether it is certain that some value of one type is none of the other."""
    try:
        return not _fits(forms.type_info(bare(source)), forms.type_info(bare(target)))
    except (TypeError, NameError):
        return False  # nothing is known of it


def _fits(source: forms.Type, target: forms.Type) -> bool:
    while isinstance(source, forms.Metadata):
        source = source.type
    while isinstance(target, forms.Metadata):
        target = target.type
    if isinstance(source, _UNKNOWN) or isinstance(target, _UNKNOWN):
        return True
    if isinstance(source, forms.UnionType):
        return all(_fits(one, target) for one in source.types)
    if isinstance(target, forms.UnionType):
        return any(_fits(source, one) for one in target.types)
    if isinstance(source, (forms.LiteralType, forms.EnumType)):
        return _values_fit(source, target)
    if isinstance(source, (*_LISTS, forms.TupleType)):
        return _items_fit(source, target)
    if isinstance(source, (*_OBJECTS, forms.DictType)):
        return _fields_fit(source, target)
    if isinstance(source, forms.IntType) and isinstance(target, (forms.FloatType, forms.DecimalType)):
        return True
    if isinstance(target, forms.StrType):
        return isinstance(source, _TEXTS)
    return type(source) is type(target)  # some text or number is none of an enumeration


def _items_fit(source: Any, target: forms.Type) -> bool:  # a list, or a tuple
    if isinstance(target, _LISTS):
        kinds = source.item_types if isinstance(source, forms.TupleType) else (source.item_type,)
        return all(_fits(one, target.item_type) for one in kinds)
    if isinstance(source, forms.TupleType) and isinstance(target, forms.TupleType):
        pairs = list(zip(source.item_types, target.item_types, strict=False))
        return len(source.item_types) == len(target.item_types) and all(_fits(*pair) for pair in pairs)
    return False


def _fields_fit(source: Any, target: forms.Type) -> bool:  # an object
    if isinstance(source, forms.DictType):
        return isinstance(target, forms.DictType) and _fits(source.value_type, target.value_type)
    if isinstance(target, _OBJECTS):
        return source.cls is target.cls or not isinstance(source, forms.StructType)
    return isinstance(target, forms.DictType)


def _values_fit(source: forms.LiteralType | forms.EnumType, target: forms.Type) -> bool:
    given: tuple[Any, ...] = (
        tuple(source.values) if isinstance(source, forms.LiteralType) else tuple(one.value for one in source.cls)
    )
    if isinstance(target, forms.LiteralType):
        return set(given) <= set(target.values)
    if isinstance(target, forms.EnumType):
        return set(given) <= {one.value for one in target.cls}
    kinds: dict[Any, Any] = {
        forms.StrType: str,
        forms.IntType: int,
        forms.FloatType: (int, float),
        forms.NoneType: type(None),
    }
    kind = kinds.get(type(target))
    return kind is not None and all(isinstance(one, kind) for one in given)
