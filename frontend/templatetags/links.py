"""``{% url %}`` as everywhere, but without the page's language where the address has none (the API, feeds)."""

from __future__ import annotations

from django import template
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.defaulttags import URLNode
from django.template.defaulttags import url as django_url
from django.utils.safestring import SafeString

from frontend.languages import plain

register = template.Library()


class _Link(URLNode):
    def render(self, context: Context) -> SafeString:
        written = super().render(context)
        if self.asvar:
            context[self.asvar] = plain(str(context[self.asvar]))
            return SafeString(written)
        return SafeString(plain(str(written)))


@register.tag
def url(parser: Parser, token: Token) -> _Link:
    """The address of a view; in every template, in place of Django's."""
    node = django_url(parser, token)
    return _Link(node.view_name, node.args, node.kwargs, node.asvar)
